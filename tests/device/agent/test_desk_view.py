"""What the desk shows, when and to whom: the officer's day, nothing while locked, the open visit's parts."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from device.errors import Code, KitError, Refused
from tests.device.agent.kit import COLLEAGUE, OFFICER, PIN, Desktop, Kit
from tests.device.agent.peripherals import PHOTO
from tests.device.agent.test_retention import SetClock
from tests.device.agent.wishes import INFORM


def test_only_this_officers_visits_are_listed_in_the_order_of_the_day(kit: Kit) -> None:
    late, early, other = kit.visit(), kit.visit(), kit.visit(officer_id=COLLEAGUE)
    early = msgspec.structs.replace(early, starts="2026-11-01T08:00:00Z", ends="2026-11-01T08:25:00Z")
    kit.bring_bag(late, early, other)
    with Desktop(kit) as top:
        assert top.desk.now().visits == ()
        top.desk.unlock(OFFICER, PIN)
        listed = top.until(lambda seen: seen.visits).visits
        assert [each.visit_id for each in listed] == [early.visit_id, late.visit_id]
        assert {each.state for each in listed} == {"planned"}
        with pytest.raises(Refused) as refused:
            top.desk.choose(other.visit_id)
        assert refused.value.code is Code.UNKNOWN_VISIT


def test_a_visit_whose_officer_cannot_open_this_kit_is_told_of_before_anybody_leaves(kit: Kit) -> None:
    mine, other, nobodys = kit.visit(), kit.visit(officer_id=COLLEAGUE), kit.visit(officer_id="els.claes")
    nobodys = msgspec.structs.replace(nobodys, starts="2026-11-01T08:00:00Z")
    kit.bring_bag(mine, other, nobodys)
    with Desktop(kit) as top:
        assert top.desk.now().stranded == ()
        top.desk.unlock(OFFICER, PIN)
        assert top.until(lambda seen: seen.visits).stranded == (datetime(2026, 11, 1, 8, tzinfo=UTC),)
        top.desk.lock()
        assert top.until(lambda seen: seen.officer is None).stranded == ()


def test_while_locked_nothing_is_seen_and_nothing_may_be_asked(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "photo")
        photo = top.capture("photo").visit
        assert photo is not None
        top.desk.lock()
        locked = top.until(lambda seen: seen.officer is None)
        assert (locked.visits, locked.visit, locked.bag_date) == ((), None, "")
        assert "Vandekanarie" not in repr(locked)
        asked = (
            lambda: top.desk.choose(visit.visit_id),
            lambda: top.desk.wish(INFORM),
            lambda: top.desk.start("card"),
            lambda: top.desk.part(photo.photo_record),
            lambda: top.desk.summary(),
            lambda: top.desk.preview(),
        )
        for ask in asked:
            with pytest.raises(Refused) as refused:
                ask()
            assert refused.value.code is Code.LOCKED


def test_an_idle_desk_locks_itself_and_a_long_poll_does_not_keep_it_open(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit, idle_lock_s=0.6) as top:
        top.desk.unlock(OFFICER, PIN)
        assert top.desk.now().officer is not None
        assert top.until(lambda seen: seen.officer is None)


def test_wrong_pins_are_counted_on_the_screen_and_then_there_is_a_wait(kit: Kit) -> None:
    with Desktop(kit) as top:
        left = []
        for _ in range(5):
            with pytest.raises(KitError) as wrong:
                top.desk.unlock(OFFICER, "000999")
            assert wrong.value.code is Code.WRONG_PIN
            left.append(top.until(lambda seen: seen.gate.tries_left < 5 - len(left)).gate.tries_left)
        assert left == [4, 3, 2, 1, 0]
        with pytest.raises(KitError) as waits:
            top.desk.unlock(OFFICER, PIN)
        assert waits.value.code is Code.TOO_MANY_TRIES
        assert top.desk.now().gate.wait_s > 0
        with pytest.raises(KitError) as stranger:
            top.desk.unlock("jan.janssens", PIN)
        assert stranger.value.code is Code.UNKNOWN_OFFICER


@pytest.mark.parametrize("changes", [{"kit_id": "kit-other"}, {"days_ago": 2}])
def test_a_bag_of_another_kit_or_an_earlier_day_is_not_opened(kit: Kit, changes: dict[str, object]) -> None:
    kit.bring_bag(kit.visit(), **changes)  # type: ignore[arg-type]
    with Desktop(kit) as top:
        top.desk.unlock(OFFICER, PIN)
        seen = top.until(lambda now: now.failure)
        assert seen.failure is not None
        assert seen.failure.code is Code.BAG_UNREADABLE
        assert seen.visits == ()
        top.desk._ask(lambda office: office.look())
        assert top.desk.now().failure == seen.failure, "until somebody has read it"
        top.desk.dismiss()
        kit.bring_bag(kit.visit())
        assert top.until(lambda now: now.visits).failure is None


def test_a_bag_that_a_clock_ahead_took_for_an_old_one_is_taken_once_the_clock_is_right(kit: Kit) -> None:
    kit.bring_bag(kit.visit())
    clock = SetClock(timedelta(days=3650))
    with Desktop(kit, clock=clock) as top:
        top.desk.unlock(OFFICER, PIN)
        seen = top.until(lambda now: now.failure)
        assert seen.failure is not None
        assert seen.failure.code is Code.BAG_UNREADABLE
        top.desk.dismiss()
        top.desk._ask(lambda office: office.look())
        assert top.desk.now().failure is None, "it is said once"
        clock.ahead = timedelta()
        assert len(top.until(lambda now: now.visits, 10).visits) == 1


def test_a_newer_bag_arrives_while_a_visit_is_open_and_the_visit_stays_as_it_was(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "photo")
        kit.bring_bag(kit.visit(), kit.visit())
        seen = top.until(lambda now: len(now.visits) == 3)
        assert seen.visit is not None
        assert seen.visit.name == "Roos Vandekanarie"
        assert top.capture("photo").failure is None


def test_versions_only_grow_and_the_same_state_is_not_told_twice(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.begin(visit)
        seen = [top.desk.now()]
        top.desk.start("card")
        while seen[-1].visit is None or seen[-1].visit.step != "inform":
            seen.append(top.desk.after(seen[-1].version, 2))
        assert [each.version for each in seen] == sorted({each.version for each in seen})
        assert any(each.busy and each.busy.what == "card" for each in seen)
        still = top.desk.after(seen[-1].version, 0.6)
        assert still.version - seen[-1].version <= 2


def test_parts_are_given_for_the_open_visit_alone(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "review")
        seen = top.desk.now().visit
        assert seen is not None
        assert top.desk.part(seen.photo_record) == ("image/jpeg", PHOTO.jpeg)
        assert top.desk.part(seen.card_record)[0] == "image/jpeg"
        assert top.desk.part(seen.signature_record)[0] == "image/svg+xml"
        codes = top.desk.summary()
        assert (codes["card"], codes["signature"], codes["right"], codes["left"]) == (
            "read",
            "given",
            "index",
            "index",
        )
        for record in ("request", "../../etc/passwd", "", seen.visit_id):
            with pytest.raises(Refused):
                top.desk.part(record)
        top.desk.leave()
        with pytest.raises(Refused):
            top.desk.part(seen.photo_record)
