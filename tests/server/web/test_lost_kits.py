"""Leases through the kits' listener; and a lost kit: no lease, no bag, and it is said when it closes."""

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from protocol.ids import new_ulid
from protocol.lease import Asked, Granted, open_granted, sign_asked
from protocol.messages import AccessEvent, Envelope, encode, instant
from protocol.sealed import agekeys
from protocol.topics import Tail, topic_of
from server.db.scope import EVERYONE
from server.db.tables import KitLease
from server.fleet import bags, ingest
from tests.server.browsing import Browser
from tests.server.town import KIT, OTHER_KIT, Town
from tests.server.web.caller import Kit

IDENTITY, RECIPIENT = agekeys.generate()


def asking(town: Town, epoch: int, kit_id: str = KIT, signer: str = KIT) -> str:
    asked = Asked(kit_id=kit_id, epoch=epoch, nonce=new_ulid(), recipient=RECIPIENT)
    by = town.signer("kit-sign", signer)
    return sign_asked(asked, by.key, by.chain)


def ask(town: Town, kit: Kit, epoch: int) -> Granted:
    answer = kit.call("POST", "/kit/v1/lease", json={"request": asking(town, epoch)})
    assert answer.status_code == 200, answer.text
    return open_granted(base64.b64decode(answer.get_json()["lease"]), IDENTITY, town.command_keys)


def refusal(town: Town, kit: Kit, request: str) -> tuple[int, str]:
    answer = kit.call("POST", "/kit/v1/lease", json={"request": request})
    return answer.status_code, answer.get_json()["error"]


def test_shares_go_on_with_the_kit_and_the_one_before_is_forgotten(
    town: Town, kit: Callable[..., Kit]
) -> None:
    first = ask(town, kit(), 0)
    assert (first.share, len(first.following), first.hours, first.visits) == (b"", 32, 48, 12)
    assert ask(town, kit(), 0).following == first.following, "asked twice, the same"
    second = ask(town, kit(), 1)
    assert (second.share, second.following) == (first.following, b"")
    assert ask(town, kit(), 1).share == first.following
    with town.database.writing(EVERYONE) as db:
        row = db.get(KitLease, KIT)
        assert row is not None
        row.turned -= timedelta(hours=21)
    third = ask(town, kit(), 1)
    assert third.share == first.following
    assert len(third.following) == 32
    assert ask(town, kit(), 2).share == third.following


def test_no_share_lies_readable_in_the_database(town: Town, kit: Callable[..., Kit]) -> None:
    share = ask(town, kit(), 0).following
    with town.database.reading(EVERYONE) as db:
        row = db.get(KitLease, KIT)
        assert row is not None
        assert row.following is not None
        for spelled in (share, base64.b64encode(share), share.hex().encode()):
            assert spelled not in row.following


@pytest.mark.parametrize("epoch", [0, 3, 7])
def test_an_epoch_that_is_not_known_here_goes_on_with_what_the_kit_holds(
    town: Town, kit: Callable[..., Kit], epoch: int
) -> None:
    ask(town, kit(), 0)
    ask(town, kit(), 1)
    granted = ask(town, kit(), epoch)
    assert (granted.epoch, granted.share, len(granted.following)) == (epoch, b"", 32)
    assert ask(town, kit(), epoch + 1).share == granted.following


def test_only_the_kit_itself_is_answered(town: Town, kit: Callable[..., Kit]) -> None:
    assert refusal(town, kit(), asking(town, 0, signer=OTHER_KIT)) == (422, "lease-untrusted")
    assert refusal(town, kit(), asking(town, 0, OTHER_KIT, OTHER_KIT)) == (422, "wrong-kit")
    assert refusal(town, kit(), "a.b.c") == (422, "lease-untrusted")
    assert refusal(town, kit(), "x" * 12_001)[0] == 400
    assert kit("kit-sign").call("POST", "/kit/v1/lease", json={}).status_code == 403


def test_a_lost_kit_gets_neither_lease_nor_bag_until_it_is_found(
    town: Town, kit: Callable[..., Kit], signed_in: Callable[[str], Browser]
) -> None:
    ask(town, kit(), 0)
    sealed = town.packet(town.plan())
    with town.database.writing(EVERYONE) as db:
        bags.build(db, town.fields, town.sealer, town.dock.blobs, KIT, datetime.now(UTC))
    admin = signed_in("beheer.brugge")
    assert "Deze koffer is zoek" in admin.get(f"/kits/{KIT}").text
    assert admin.send(f"/kits/{KIT}/lost", {}, page=f"/kits/{KIT}").status_code == 303
    assert refusal(town, kit(), asking(town, 0)) == (422, "kit-lost")
    assert kit().call("GET", "/kit/v1/inbox?bag=0").get_json()["bag"] is None
    for page in (f"/kits/{KIT}", "/"):
        assert "Zonder verbinding dicht op" in admin.get(page).text
    assert kit().begin(sealed.manifest.packet_id, sealed.data).status_code == 200, "what it sealed is taken"
    assert admin.send(f"/kits/{KIT}/found", {}, page=f"/kits/{KIT}").status_code == 303
    assert ask(town, kit(), 0).following
    assert kit().call("GET", "/kit/v1/inbox?bag=0").get_json()["bag"] is not None


def test_who_may_not_see_a_kit_may_not_lose_it_and_a_planner_may_not_at_all(
    town: Town, signed_in: Callable[[str], Browser]
) -> None:
    admin, planner = signed_in("beheer.brugge"), signed_in("planner.brugge")
    assert admin.send(f"/kits/{OTHER_KIT}/lost", {}, page="/").status_code == 404
    assert planner.send(f"/kits/{KIT}/lost", {}, page="/").status_code == 403
    assert "Deze koffer is zoek" not in planner.get(f"/kits/{KIT}").text


def test_what_a_kit_tells_of_its_ways_in_stands_on_its_page(
    town: Town, signed_in: Callable[[str], Browser]
) -> None:
    digest = hashlib.sha256(b"an.peeters").hexdigest()
    now = datetime.now(UTC)
    envelope = Envelope(
        v=1,
        id=new_ulid(),
        kit=KIT,
        ses=1,
        seq=1,
        ts=instant(now),
        ts_src="ntp",
        body=AccessEvent("code-used", digest),
    )
    heard = ingest.take(
        town.database, topic_of(KIT, Tail.ACCESS), encode(topic_of(KIT, Tail.ACCESS), envelope), now
    )
    assert heard.outcome == f"access-code-used.{digest[:12]}"
    page = signed_in("beheer.brugge").get(f"/kits/{KIT}").text
    assert "Nieuwe pincode met een code van de IT-dienst" in page
    assert "An Peeters" in page
