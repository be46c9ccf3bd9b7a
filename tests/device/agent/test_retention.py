"""What is kept too long goes by itself, with nobody unlocked, whatever the clock is set to."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from device.agent.clock import SystemClock
from device.vault.database import Database
from protocol.messages import ApplicationEvent, VisitEvent
from tests.device.agent.kit import Desktop, Kit
from tests.device.agent.test_outgoing import bring_receipt, certified, sealed, shelf, told

DAY = timedelta(days=1)


@dataclass
class SetClock:
    """The system's clock, set `ahead`."""

    ahead: timedelta = timedelta()
    system: SystemClock = field(default_factory=SystemClock)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return self.system.monotonic()


def keys(kit: Kit) -> list[str]:
    database = Database(kit.data / "vault.db")
    try:
        return [row[0] for row in database.rows("SELECT visit_id FROM visit_key WHERE visit_id != 'kit'")]
    finally:
        database.close()


def switch_on(kit: Kit, *days: float) -> None:
    """Once for each of these days after today, with nobody unlocking."""
    for each in days:
        with Desktop(kit, clock=SetClock(each * DAY)):
            pass


def draft(kit: Kit) -> str:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "fingers")
    return visit.visit_id


def test_an_unfinished_visit_goes_after_two_weeks(kit: Kit) -> None:
    visit_id = draft(kit)
    switch_on(kit, 9, 13.9)
    assert keys(kit) == [visit_id]
    switch_on(kit, 14.1)
    assert keys(kit) == []
    assert told(kit)[-1] == VisitEvent(visit_id, "abandoned", "expired")
    assert [(each.visit_id, each.what, each.why) for each in certified(kit)] == [
        (visit_id, "captures", "draft-limit")
    ]
    switch_on(kit, 15)
    assert len(certified(kit)) == 1


def test_a_sealed_packet_goes_at_ninety_days_from_vault_and_spool(kit: Kit) -> None:
    with Desktop(kit) as top:
        visit_id, packet_id, data = sealed(kit, top)
    switch_on(kit, *range(9, 90, 9), 89.9)
    assert shelf(kit) == [packet_id]
    with Desktop(kit, clock=SetClock(90.1 * DAY)) as top:
        assert top.spool.offered() == []
    assert shelf(kit) == []
    last = certified(kit)[-1]
    assert (last.packet_id, last.what, last.why) == (packet_id, "packet", "hard-limit")
    digest = kit.service.open(data).outer.manifest_sha256
    assert told(kit)[-1] == ApplicationEvent(packet_id, visit_id, "deleted", digest)
    bring_receipt(kit, packet_id, kit.service.answer(data))  # too late, and harmless
    with Desktop(kit) as top:
        top.until(lambda _: not top.spool.receipts())


def test_a_clock_set_back_keeps_nothing_longer(kit: Kit) -> None:
    draft(kit)
    switch_on(kit, 9, -400, 13.9, -4000)
    assert len(keys(kit)) == 1
    switch_on(kit, 14.1)
    assert keys(kit) == []


@pytest.mark.parametrize("ahead", [11, 100, 3650])
def test_a_clock_far_ahead_destroys_nothing_at_once(kit: Kit, ahead: int) -> None:
    visit_id = draft(kit)
    switch_on(kit, ahead, ahead, 0, ahead)
    assert keys(kit) == [visit_id]
    assert certified(kit) == []


def test_a_visit_begun_under_a_clock_that_was_wrong_has_its_full_time(kit: Kit) -> None:
    switch_on(kit, *range(9, 60, 9))  # what the clock says is believed, and it is wrong
    visit_id = draft(kit)
    switch_on(kit, 1, 50)
    assert keys(kit) == [visit_id]


def test_a_packet_left_in_the_spool_by_a_cut_is_cleared_away(kit: Kit) -> None:
    with Desktop(kit) as top:
        _, packet_id, data = sealed(kit, top)
        bring_receipt(kit, packet_id, kit.service.answer(data))
        top.until(lambda now: now.visit and now.visit.sealed == "accepted" and not top.spool.receipts())
        top.spool.offer_packet(packet_id, data)  # as if it had not been withdrawn
    with Desktop(kit) as top:
        assert top.spool.offered() == []


def test_the_screen_says_that_the_time_is_over(kit: Kit) -> None:
    draft(kit)
    switch_on(kit, 9, 18)
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.begin(visit)
        assert [line.state for line in top.desk.now().visits] == ["open"]
