"""What a visit needs in order to be sealed is tried before the first capture, with the real list and keys."""

from datetime import timedelta

import msgspec
import pytest

from device.agent.events import Abandon
from device.agent.newest import Newest
from device.errors import Code, KitError
from device.vault.database import Database
from device.vault.log import ROOM
from protocol.instant import write_instant
from protocol.sealed.recipients import Recipient, RecipientList, receipt_key, sign_list
from tests.device.agent.kit import OFFICER, PIN, WEEK, Desktop, Kit

HOUR = timedelta(hours=1)


def refused(top: Desktop, visit_id: str) -> Code:
    with pytest.raises(KitError) as no:
        top.desk.choose(visit_id)
    return no.value.code


def test_a_list_that_will_not_last_for_the_visit_begins_none(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.desk.unlock(OFFICER, PIN)
        kit.write_list(kit.clock.now() + 4 * HOUR - timedelta(minutes=1))
        assert refused(top, visit.visit_id) is Code.RECIPIENTS_EXPIRED
        kit.write_list(kit.clock.now() + 4 * HOUR + timedelta(minutes=1))
        top.desk.choose(visit.visit_id)


def test_an_older_list_is_not_taken_again_also_after_a_restart(kit: Kit) -> None:
    first, second = kit.visit(), kit.visit()
    kit.bring_bag(first, second)
    older = kit.list_path.read_text()
    kit.write_list(kit.clock.now() + WEEK + HOUR)
    with Desktop(kit) as top:
        top.desk.unlock(OFFICER, PIN)
        top.desk.choose(first.visit_id)
    kit.list_path.write_text(older)
    with Desktop(kit) as top:
        top.desk.unlock(OFFICER, PIN)
        assert refused(top, second.visit_id) is Code.RECIPIENTS_UNTRUSTED


def test_a_visit_opened_before_is_tried_again_before_its_first_capture(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.desk.unlock(OFFICER, PIN)
        top.desk.choose(visit.visit_id)
        kit.list_path.write_text("not a list")
        with pytest.raises(KitError) as no:
            top.desk.start("card")
        assert no.value.code is Code.RECIPIENTS_UNTRUSTED


def test_what_was_sealed_to_a_test_list_says_so(kit: Kit) -> None:
    now = kit.clock.now()
    held = RecipientList(
        service_id="be.eid.application",
        test=True,
        issued=write_instant(now),
        expires=write_instant(now + WEEK),
        recipients=(Recipient("service-1", kit.recipient),),
        receipt_keys=(receipt_key(kit.service.receipt_key.public_key()),),
    )
    kit.list_path.write_text(sign_list(held, kit.service.list_key))
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        seen = top.whole_visit(visit).visit
        assert seen is not None
        manifest = kit.service.open(top.packet(seen.packet_id)).outer.manifest
    assert manifest.flags == ("test-recipients", "test-trust")
    assert [recipient.kid for recipient in manifest.recipients] == ["service-1"]


def test_the_newest_list_is_known_by_service(kit: Kit) -> None:
    database = Database(kit.data / "vault.db")
    newest = Newest(database)
    assert newest.issued("be.eid.application") is None
    held = RecipientList(
        service_id="be.eid.application",
        issued="2026-11-20T00:00:00Z",
        expires="2026-12-01T00:00:00Z",
        recipients=(Recipient("a"),),
        receipt_keys=(receipt_key(kit.service.receipt_key.public_key()),),
    )
    newest.saw(held)
    newest.saw(msgspec.structs.replace(held, issued="2026-11-19T00:00:00Z"))
    newest.saw(msgspec.structs.replace(held, service_id="be.eid.other", issued="2026-11-18T00:00:00Z"))
    assert str(newest.issued("be.eid.application")) == "2026-11-20 00:00:00+00:00"
    assert str(newest.issued("be.eid.other")) == "2026-11-18 00:00:00+00:00"
    database.close()


def test_room_for_the_packet_is_there_before_it_is_sealed_and_becomes_it(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "seal")
        top.tidied()
        (room,) = kit.data.glob("vault.db-*.sealed")
        assert not any(room.read_bytes())
        assert (kit.data / "vault.db-wal").stat().st_size == ROOM
        top.capture("seal")
        seen = top.until(lambda now: now.visit and now.visit.sealed).visit
        assert seen is not None
        assert seen.packet_id in room.name
        assert room.read_bytes() == top.packet(seen.packet_id)


def test_a_visit_taken_up_after_a_restart_has_room_again_and_abandoned_leaves_none_behind(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "review")
    assert not list(kit.data.glob("vault.db-*.sealed"))
    with Desktop(kit) as top:
        top.desk.unlock(OFFICER, PIN)
        top.desk.choose(visit.visit_id)
        top.tidied()
        assert len(list(kit.data.glob("vault.db-*.sealed"))) == 1
        top.desk.wish(Abandon("unwell"))
    assert not list(kit.data.glob("vault.db-*.sealed"))
