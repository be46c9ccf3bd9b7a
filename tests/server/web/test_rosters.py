"""Who may open which kit: on the page of a kit, on the command line, and in the answer that a kit gets."""

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from protocol import roster
from protocol.ids import new_ulid
from protocol.messages import AccessEvent, Envelope, encode, instant
from protocol.roster import Roster
from protocol.topics import Tail, topic_of
from server.db.scope import EVERYONE, only
from server.fleet import ingest, officers, outbox, rosters
from server.fleet.refused import Refused
from tests.server.browsing import Browser
from tests.server.town import BRUGGE, DAMME, KIT, OTHER_KIT, Town
from tests.server.web.caller import Kit
from tests.server.web.test_lost_kits import ask

NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=72)
AN, ELS = "an.peeters", "els.claes"


@pytest.fixture
def listed(town: Town) -> Town:
    """An, with whom the kit was founded."""
    with town.database.writing(EVERYONE) as db:
        officers.add(db, ELS, "Els Claes", BRUGGE)
        rosters.put(db, KIT, AN, NOW, on_kit=True)
    return town


def told(town: Town, kit: Kit) -> Roster:
    return roster.verify(ask(town, kit, 0).roster, town.command_keys)


def does(town: Town, what: Callable[..., None], *given: object, **named: object) -> None:
    with town.database.writing(EVERYONE) as db:
        what(db, *given, **named)


def refusal(town: Town, what: Callable[..., None], *given: object, **named: object) -> str:
    with pytest.raises(Refused) as no:
        does(town, what, *given, **named)
    return no.value.code


def hears(town: Town, what: str, officer_id: str) -> None:
    said = AccessEvent(what, hashlib.sha256(officer_id.encode()).hexdigest())  # type: ignore[arg-type]
    now, topic = datetime.now(UTC), topic_of(KIT, Tail.ACCESS)
    envelope = Envelope(v=1, id=new_ulid(), kit=KIT, ses=1, seq=1, ts=instant(now), ts_src="ntp", body=said)
    ingest.take(town.database, topic, encode(topic, envelope), now)


def test_a_kit_without_a_list_is_told_of_none(town: Town, kit: Callable[..., Kit]) -> None:
    assert ask(town, kit(), 0).roster == ""


def test_the_list_goes_to_the_kit_with_its_lease_and_grows_in_version(
    listed: Town, kit: Callable[..., Kit]
) -> None:
    first = told(listed, kit())
    assert (first.kit_id, first.version, first.names) == (KIT, 1, {AN: "An Peeters"})
    assert told(listed, kit()).version == 1
    does(listed, rosters.put, KIT, ELS, NOW)
    does(listed, rosters.put, KIT, ELS, NOW)
    does(listed, rosters.enrol, KIT, ELS, b"sealed", LATER, NOW)
    second = told(listed, kit())
    assert (second.version, set(second.names)) == (3, {AN, ELS})
    (waiting,) = second.enrolments
    assert base64.urlsafe_b64decode(waiting.sealed + "==") == b"sealed"
    with listed.database.reading(EVERYONE) as db:
        assert outbox.concerns(db, "doorbell", KIT)
    hears(listed, "officer-added", ELS)
    assert told(listed, kit()).enrolments == ()
    does(listed, rosters.take, KIT, AN, NOW, last=False)
    assert told(listed, kit()).names == {ELS: "Els Claes"}


def test_what_may_not_be_asked_of_a_list(listed: Town) -> None:
    put, take, enrol = rosters.put, rosters.take, rosters.enrol
    assert refusal(listed, put, "kit-nowhere", AN, NOW) == "unknown-kit"
    assert refusal(listed, put, KIT, "nobody.here", NOW) == "unknown-officer"
    assert refusal(listed, put, OTHER_KIT, ELS, NOW) == "kit-does-not-serve"
    assert refusal(listed, take, KIT, ELS, NOW, last=False) == "not-listed"
    assert refusal(listed, take, KIT, AN, NOW, last=True) == "last-officer"
    assert refusal(listed, enrol, KIT, ELS, b"x", LATER, NOW) == "not-listed"
    assert refusal(listed, enrol, KIT, AN, b"x", LATER, NOW) == "already-on-kit"
    does(listed, put, KIT, ELS, NOW)
    for sealed, until in ((b"", LATER), (bytes(5000), LATER), (b"x", NOW)):
        assert refusal(listed, enrol, KIT, ELS, sealed, until, NOW) == "bad-enrolment"


def test_who_is_the_last_one_counts_all_municipalities(listed: Town) -> None:
    with listed.database.reading(EVERYONE) as db:
        assert rosters.is_last(db, KIT, AN)
    does(listed, rosters.put, KIT, ELS, NOW)
    with listed.database.reading(EVERYONE) as db:
        assert rosters.is_last(db, KIT, AN), "Els is on the list, and cannot open it yet"
    hears(listed, "officer-added", ELS)
    with listed.database.reading(EVERYONE) as db:
        assert not rosters.is_last(db, KIT, AN)


def test_a_key_under_a_code_does_not_stay(listed: Town) -> None:
    does(listed, rosters.put, KIT, ELS, NOW)
    does(listed, rosters.enrol, KIT, ELS, b"sealed", LATER, NOW)
    does(listed, rosters.forget_expired, LATER + timedelta(hours=25))
    with listed.database.reading(EVERYONE) as db:
        assert [line.state for line in rosters.lines(db, KIT, LATER)] == ["on-kit", "code-expired"]
        assert rosters._waiting(db, KIT, NOW) == []


def test_another_municipality_sees_and_changes_nobody_of_ours(listed: Town) -> None:
    with listed.database.reading(only(DAMME)) as db:
        assert rosters.lines(db, KIT, NOW) == []
        assert AN not in {one.officer_id for one in rosters.others(db, OTHER_KIT)}
    with pytest.raises(Refused), listed.database.writing(only(DAMME)) as db:
        rosters.take(db, KIT, AN, NOW, last=False)
    with pytest.raises(Refused), listed.database.writing(only(DAMME)) as db:
        rosters.put(db, OTHER_KIT, AN, NOW)


def test_an_administrator_puts_an_officer_on_the_list_and_takes_one_off(
    listed: Town, signed_in: Callable[[str], Browser]
) -> None:
    admin, page = signed_in("beheer.brugge"), f"/kits/{KIT}"
    assert "Op de koffer sinds" in admin.get(page).text
    assert admin.send(f"{page}/officers", {"officer": ELS}, page=page).status_code == 303
    assert "Nog geen code" in admin.get(page).text
    assert admin.send(f"{page}/officers/remove", {"officer": AN}, page=page).status_code == 409
    hears(listed, "officer-added", ELS)
    assert admin.send(f"{page}/officers/remove", {"officer": AN}, page=page).status_code == 303
    assert "Van de lijst; kan de koffer nog openen" in admin.get(page).text
    assert admin.send(f"{page}/officers/remove", {"officer": AN}, page=page).status_code == 404
    hears(listed, "officer-removed", AN)
    with listed.database.reading(EVERYONE) as db:
        assert [line.officer_id for line in rosters.lines(db, KIT, NOW)] == [ELS]
    assert admin.send(f"{page}/officers", {"officer": "nobody.here"}, page=page).status_code == 404
    assert admin.send(f"{page}/officers", {"officer": "NOBODY"}, page=page).status_code == 400
    assert admin.send(f"/kits/{OTHER_KIT}/officers", {"officer": ELS}, page="/").status_code == 404


def test_a_planner_may_look_and_not_touch(listed: Town, signed_in: Callable[[str], Browser]) -> None:
    planner, page = signed_in("planner.brugge"), f"/kits/{KIT}"
    assert "Van de lijst halen" not in planner.get(page).text
    for path in ("officers", "officers/remove"):
        assert planner.send(f"{page}/{path}", {"officer": AN}, page=page).status_code == 403
