"""The lease on a whole desk: it closes by itself, opens when the fleet says so, and loses nothing."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from device.errors import Code, KitError
from device.spool.leases import LeaseHatch
from device.vault import lease
from device.vault.database import Database
from protocol.bag import BagVisit
from protocol.instant import read_instant
from protocol.sealed import agekeys
from tests.device.agent.kit import OFFICER, PIN, Desktop, Kit
from tests.device.agent.lender import Lender
from tests.mosquitto import until

HOUR = 3600.0


class Shifted:
    """The machine's clocks, put elsewhere by the test."""

    def __init__(self) -> None:
        self.wall = timedelta()
        self.ran = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + self.wall

    def monotonic(self) -> float:
        return time.monotonic() + self.ran

    def run(self, hours: float) -> None:
        """So long later, both clocks say."""
        self.ran += hours * HOUR
        self.wall += timedelta(hours=hours)


@pytest.fixture
def clock() -> Shifted:
    return Shifted()


@pytest.fixture
def top(kit: Kit, clock: Shifted) -> Iterator[Desktop]:
    with on(kit, clock) as made:
        yield made


def on(kit: Kit, clock: Shifted) -> Desktop:
    return Desktop(kit, clock=clock, lease_wanted=True, idle_lock_s=1e9, health_every_s=1e9)


def row(kit: Kit) -> lease.Lease:
    database = Database(kit.data / "vault.db")
    try:
        held = lease.read(database)
        assert held is not None
        return held
    finally:
        database.close()


def reckoned(kit: Kit) -> datetime:
    """How late it is by the kit's own reckoning on disk."""
    database = Database(kit.data / "vault.db")
    try:
        found = database.row("SELECT known FROM reckoning")
        assert found is not None
        return read_instant(found[0])
    finally:
        database.close()


def lend(kit: Kit, lender: Lender, top: Desktop, epoch: int) -> None:
    """Let the agent ask, be answered, and take it."""
    ends = row(kit).ends

    def took() -> bool:
        lender.answer(kit)
        top.spool.ring_uplink()
        now = row(kit)
        return now.ends > ends and now.epoch == epoch

    until(took)


def refused(top: Desktop) -> Code:
    with pytest.raises(KitError) as problem:
        top.desk.unlock(OFFICER, PIN)
    return problem.value.code


def closes(top: Desktop) -> None:
    top.until(lambda seen: seen.gate.closed)


def to_epoch_one(kit: Kit, top: Desktop) -> Lender:
    lender = Lender.of(kit)
    top.desk.unlock(OFFICER, PIN)
    lend(kit, lender, top, 1)
    assert not row(kit).coming
    settled(kit, lender)
    return lender


def settled(kit: Kit, lender: Lender) -> None:
    """Until the agent has what it asked for in its epoch, so that nothing comes by surprise later."""

    def quiet() -> bool:
        lender.answer(kit)
        grant = kit.data / "spool" / "lease.grant"
        return lender.last is not None and lender.last.epoch == 1 and not grant.exists()

    until(quiet)


def a_visit(kit: Kit, top: Desktop) -> BagVisit:
    visit = kit.visit()
    kit.bring_bag(visit)
    top.until(lambda seen: any(line.visit_id == visit.visit_id for line in seen.visits))
    return visit


def test_a_lease_that_ended_refuses_until_the_fleet_gives_another(
    kit: Kit, top: Desktop, clock: Shifted
) -> None:
    lender = to_epoch_one(kit, top)
    top.desk.lock()
    clock.run(49)
    closes(top)
    until(lambda: not row(kit).held)
    assert refused(top) == Code.LEASE_ENDED
    lend(kit, lender, top, 1)
    top.until(lambda seen: not seen.gate.closed)
    top.desk.unlock(OFFICER, PIN)
    assert lender.last is not None
    assert lender.last.epoch == 1


def test_a_kit_that_never_heard_of_the_fleet_closes_too(top: Desktop, clock: Shifted) -> None:
    clock.run(49)
    closes(top)
    assert refused(top) == Code.LEASE_ENDED


def test_an_officer_who_is_in_without_a_visit_is_locked_out_at_the_end(
    kit: Kit, top: Desktop, clock: Shifted
) -> None:
    to_epoch_one(kit, top)
    clock.run(49)
    top.until(lambda seen: seen.officer is None)


def test_a_visit_that_has_begun_is_finished_and_sealed_and_no_other_is_begun(
    kit: Kit, top: Desktop, clock: Shifted
) -> None:
    lender = to_epoch_one(kit, top)
    visit = a_visit(kit, top)
    clock.run(47)
    until(lambda: reckoned(kit) > clock.now() - timedelta(minutes=1))
    top.desk.choose(visit.visit_id)
    clock.run(2)
    time.sleep(2.5)  # the desk has looked
    assert top.desk.now().officer is not None
    top.desk.lock()
    top.desk.unlock(OFFICER, PIN)  # it may be taken up again
    top.desk.choose(visit.visit_id)
    for step in top.steps():
        step()
        assert top.desk.now().failure is None
    seen = top.desk.now().visit
    assert seen is not None
    assert seen.sealed
    assert top.spool.offered() == [seen.packet_id], "what is sealed goes on its way"
    top.desk.lock()
    assert refused(top) == Code.LEASE_ENDED
    assert lender.shares[1]


def test_the_quota_of_visits_ends_before_the_hours_do(kit: Kit, top: Desktop) -> None:
    lender = Lender.of(kit)
    lender.visits = 1
    top.desk.unlock(OFFICER, PIN)
    lend(kit, lender, top, 1)
    first, second = kit.visit(), kit.visit()
    kit.bring_bag(first, second)
    top.until(lambda seen: len(seen.visits) == 2)
    top.desk.choose(first.visit_id)
    top.desk.leave()
    with pytest.raises(KitError) as problem:
        top.desk.choose(second.visit_id)
    assert problem.value.code == Code.LEASE_SPENT
    top.desk.choose(first.visit_id)


@pytest.mark.parametrize("years", [-60, -1, 0])
def test_a_clock_set_back_gains_nothing(kit: Kit, top: Desktop, clock: Shifted, years: int) -> None:
    to_epoch_one(kit, top)
    top.desk.lock()
    clock.wall += timedelta(days=365 * years)
    clock.ran += 49 * HOUR
    closes(top)
    assert refused(top) == Code.LEASE_ENDED
    until(lambda: not row(kit).held)


def test_a_clock_ten_years_ahead_closes_but_destroys_nothing_and_put_right_it_opens(
    kit: Kit, top: Desktop, clock: Shifted
) -> None:
    to_epoch_one(kit, top)
    top.desk.lock()
    clock.wall += timedelta(days=3650)
    closes(top)
    assert refused(top) == Code.LEASE_ENDED
    assert row(kit).held
    assert top.until(lambda seen: seen.gate.clock_wrong), "and that it may be the clock"
    clock.wall -= timedelta(days=3650)
    top.until(lambda seen: not seen.gate.closed and not seen.gate.clock_wrong)
    top.desk.unlock(OFFICER, PIN)


def test_a_kit_that_comes_out_of_a_drawer_is_closed(kit: Kit, clock: Shifted) -> None:
    with on(kit, clock) as top:
        to_epoch_one(kit, top)
    clock.wall += timedelta(days=15)  # longer than the reckoning believes at once
    with on(kit, clock) as top:
        closes(top)
        assert refused(top) == Code.LEASE_ENDED


def test_a_restart_keeps_the_offline_quota(kit: Kit, clock: Shifted) -> None:
    with on(kit, clock) as top:
        to_epoch_one(kit, top)
    clock.run(10)
    with on(kit, clock) as top:
        top.desk.unlock(OFFICER, PIN)
        left = top.desk.now().lease
        assert left is not None
        assert (left.hours, left.visits, left.enough_for_today) == (37, 12, True)
        assert left.enough_for_tomorrow
    clock.run(10)
    with on(kit, clock) as top:
        left = top.until(lambda seen: seen.lease).lease
        assert left is not None
        assert (left.hours, left.enough_for_today, left.enough_for_tomorrow) == (27, True, False)


def test_a_lease_for_fewer_visits_than_today_has_is_not_enough_before_anybody_leaves(
    kit: Kit, top: Desktop, clock: Shifted
) -> None:
    lender = to_epoch_one(kit, top)
    lender.visits = 1
    clock.run(1)
    lend(kit, lender, top, 1)
    for count, enough in ((1, True), (2, False)):
        kit.bring_bag(*(kit.visit() for _ in range(count)))
        seen = top.until(lambda seen, count=count: len(seen.visits) == count and seen.lease)
        assert seen.lease is not None
        assert (seen.lease.visits, seen.lease.enough_for_today) == (1, enough)


@pytest.mark.parametrize("what", ["replayed", "stranger", "noise", "other-agent"])
def test_a_grant_that_was_not_asked_for_or_not_by_the_fleet_changes_nothing(
    kit: Kit, top: Desktop, what: str
) -> None:
    lender = to_epoch_one(kit, top)
    assert lender.last is not None
    asked, before = lender.last, row(kit)
    if what == "stranger":
        lender.command_key = ec.generate_private_key(ec.SECP256R1())
    sealed = b"noise" if what == "noise" else lender.granted(asked)
    if what == "other-agent":
        other = msgspec.structs.replace(asked, recipient=agekeys.generate()[1])
        sealed = lender.granted(other)
    hatch = LeaseHatch(kit.data / "spool")
    hatch.store(sealed)
    until(lambda: not (kit.data / "spool" / "lease.grant").exists())
    assert row(kit) == before
