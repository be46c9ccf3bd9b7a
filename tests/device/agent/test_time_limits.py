"""Time limits without a desk: calendar and retention on a real database and spool, the clock in the hand."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from device.agent.cases import Cases
from device.agent.events import Abandoned, Answered, Event, Expired, Opened, Sealed, Uploaded
from device.agent.health import Drafts
from device.agent.journal import Journal
from device.agent.landmarks import nothing
from device.agent.reckoning import HARD_LIMIT, LEAP, TRIAL
from device.agent.retention import EVERY_S, Calendar, Retention
from device.spool.spool import Spool
from device.vault.database import Database
from device.vault.shelf import Store
from protocol.catalogue import shipped
from protocol.ids import new_ulid
from tests.device.agent.wishes import digest
from tests.device.vault.kit import WORLD, HandClock, put_packet

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
DRAFTS = timedelta(days=14)


@dataclass
class Bench:
    """A kit's visits and nothing else of a kit. `counter` is the visit that lies there."""

    folder: Path
    clock: HandClock = field(default_factory=HandClock)
    counter: str = ""
    let_go: int = 0

    def __post_init__(self) -> None:
        self.database = Database(self.folder / "vault.db")
        self.spool = Spool(self.folder / "spool")
        self.store = Store(self.database)
        self.calendar = Calendar(self.database, self.clock)
        Journal(self.database)
        self.begin()

    def begin(self) -> None:
        """As after a start."""
        self.cases = Cases(self.database, self.clock, shipped(), nothing)
        self.retention = Retention(
            self.calendar,
            self.cases,
            self.store,
            self.spool,
            self.clock,
            DRAFTS,
            on_counter=lambda: self.counter,
            let_go=self.leave,
        )

    def leave(self) -> None:
        self.let_go, self.counter = self.let_go + 1, ""

    def close(self) -> None:
        self.spool.close()
        self.database.close()

    def visit(self, *facts: Event, visit_id: str = "") -> str:
        """A visit with these facts after its opening, begun now, with a key as if it held captures."""
        visit_id = visit_id or new_ulid()
        opened = Opened(visit_id, "be.eid.application", digest("c"), "an.peeters", "0207500123")
        with self.database.transaction() as tx:
            self.cases.journal.append(tx, visit_id, self.clock.now(), (opened, *facts))
            self.calendar.begin(tx, visit_id)
            tx.execute("INSERT INTO visit_key VALUES (?, x'01')", (visit_id,))
        self.begin()
        return visit_id

    def sealed(self) -> tuple[str, str]:
        """A visit and its packet, on the shelf and in the spool."""
        seq, prev = self.store.next_seq()
        made = WORLD.packet(seq=seq, prev=prev)
        named = made.manifest
        visit_id = self.visit(
            Sealed(named.packet_id, made.manifest_sha256, len(made.data)), visit_id=named.visit_id
        )
        put_packet(self.store, made)
        self.database.settle()
        self.spool.offer_packet(named.packet_id, made.data)
        return visit_id, named.packet_id

    def pass_time(self, time: timedelta) -> bool:
        """So much later, the clock right and the kit running, one look at the end."""
        self.clock.wall += time
        self.clock.seconds += time.total_seconds()
        return self.retention.look()

    def keys(self) -> set[str]:
        return {row[0] for row in self.database.rows("SELECT visit_id FROM visit_key")}

    def expired(self, visit_id: str) -> str:
        fact = self.cases.visits[visit_id].expired
        return fact.why if fact is not None else ""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_who_finds_the_kit_closed_is_told_of_how_many_visits_nothing_is_left(bench: Bench) -> None:
    bench.visit()
    bench.pass_time(DRAFTS)
    closed, (waiting, _) = bench.calendar.known(), bench.sealed()
    for _ in range(2):
        bench.visit()
    assert bench.retention.destroyed_since(closed) == 0, "the first went before"
    bench.pass_time(DRAFTS)
    assert bench.retention.destroyed_since(closed) == 2
    bench.pass_time(HARD_LIMIT - DRAFTS)
    assert bench.expired(waiting) == "hard-limit"
    assert bench.retention.destroyed_since(closed) == 3
    assert (
        bench.retention.destroyed_since(bench.calendar.known()) == bench.retention.destroyed_since(None) == 0
    )


def test_a_draft_goes_to_the_second_and_only_that_one(bench: Bench) -> None:
    older = bench.visit()
    bench.pass_time(DAY)
    younger = bench.visit()
    assert not bench.pass_time(DRAFTS - DAY - SECOND)
    assert bench.keys() == {older, younger}
    assert bench.pass_time(timedelta(seconds=EVERY_S))
    assert bench.keys() == {younger}
    assert (bench.expired(older), bench.expired(younger)) == ("draft-limit", "")
    assert not bench.pass_time(timedelta(seconds=EVERY_S)), "it goes once"


def test_it_is_looked_at_a_start_and_every_five_minutes(bench: Bench) -> None:
    with capture_logs() as said:
        bench.visit()
        bench.clock.wall += DRAFTS
        bench.clock.seconds += DRAFTS.total_seconds()
        assert bench.retention.look()
    assert [(one["event"], one["log_level"], one["reason"]) for one in said] == [
        ("expired", "info", "draft-limit")
    ]
    visit_id = bench.visit()
    bench.retention.look()
    bench.clock.wall += DRAFTS
    bench.clock.seconds += DRAFTS.total_seconds()
    bench.calendar.count()
    assert bench.retention.look()
    assert bench.expired(visit_id)
    late = bench.visit()
    with bench.database.transaction() as tx:
        tx.execute("UPDATE begun SET at = '2020-01-01T00:00:00Z' WHERE visit_id = ?", (late,))
    assert bench.retention.look(), "a new one looks at once"
    again = bench.visit()
    assert not bench.retention.look()
    with bench.database.transaction() as tx:
        tx.execute("UPDATE begun SET at = '2020-01-01T00:00:00Z' WHERE visit_id = ?", (again,))
    assert not bench.pass_time(timedelta(seconds=EVERY_S - 1))
    assert bench.pass_time(SECOND)


def test_a_draft_on_the_counter_may_be_finished_until_the_hard_limit(bench: Bench) -> None:
    bench.counter = visit_id = bench.visit()
    assert not bench.pass_time(DRAFTS + DAY)
    assert (bench.keys(), bench.let_go) == ({visit_id}, 0)
    with capture_logs() as said:
        assert bench.pass_time(HARD_LIMIT - DRAFTS - DAY)
    assert (bench.keys(), bench.let_go, bench.counter) == (set(), 1, "")
    assert [(one["log_level"], one["reason"], one["packet"]) for one in said] == [("error", "hard-limit", "")]


def test_another_visit_on_the_counter_is_left_where_it_is(bench: Bench) -> None:
    gone = bench.visit()
    bench.pass_time(DAY)
    bench.counter = bench.visit()
    assert bench.pass_time(DRAFTS - DAY)
    assert bench.expired(gone) == "draft-limit"
    assert bench.let_go == 0


def test_a_packet_without_answer_goes_at_ninety_days_from_shelf_and_spool(bench: Bench) -> None:
    visit_id, packet_id = bench.sealed()
    assert not bench.pass_time(HARD_LIMIT - SECOND)
    assert [one.packet_id for one in bench.store.sealed()] == bench.spool.offered() == [packet_id]
    with capture_logs() as said:
        assert bench.pass_time(timedelta(seconds=EVERY_S))
    assert bench.expired(visit_id) == "hard-limit"
    assert bench.store.sealed() == bench.spool.offered() == []
    assert bench.database.parcels.ids() == set()
    assert [(one["event"], one["packet"]) for one in said] == [("expired", packet_id)]


def test_what_is_over_is_let_be(bench: Bench) -> None:
    packet_id = new_ulid()
    over = (
        (Abandoned("unwell"),),
        (Expired("draft-limit"),),
        (Sealed(packet_id, digest("m"), 1), Uploaded(packet_id), Answered(packet_id, "accepted", "")),
    )
    visits = [bench.visit(*facts) for facts in over]
    assert not bench.pass_time(2 * HARD_LIMIT)
    assert bench.keys() == set(visits)


@pytest.mark.parametrize("ending", ["answered", "expired"])
def test_what_the_spool_still_offers_of_a_visit_that_is_over_is_withdrawn(bench: Bench, ending: str) -> None:
    _, kept = bench.sealed()
    visit_id, packet_id = bench.sealed()
    stranger = new_ulid()
    bench.spool.offer_packet(stranger, b"carried for another kit")
    end: Event = Answered(packet_id, "accepted", "") if ending == "answered" else Expired("hard-limit")
    with bench.database.transaction() as tx:
        bench.cases.journal.append(tx, visit_id, bench.clock.now(), (end,))
    bench.begin()
    assert not bench.retention.look()
    assert set(bench.spool.offered()) == {kept, stranger}


def test_the_fleet_is_told_how_many_drafts_there_are_and_how_old_the_oldest_is(bench: Bench) -> None:
    assert bench.retention.drafts() == Drafts(0, 0)
    bench.visit()
    bench.pass_time(2 * DAY)
    bench.visit()
    bench.visit(Abandoned("unwell"))
    bench.pass_time(DAY)
    assert bench.retention.drafts() == Drafts(2, 3 * 86_400)


def test_the_calendar_goes_on_where_it_was_and_says_what_it_doubts(bench: Bench) -> None:
    assert bench.calendar.known() == NOW
    bench.clock.seconds += 60
    assert bench.calendar.known() == NOW + 60 * SECOND, "between two counts by the monotonic clock alone"
    bench.calendar.count()
    assert bench.database.rows("SELECT known, doubted_s FROM reckoning") == [("2026-11-23T09:01:00Z", 0.0)]
    bench.clock.wall += LEAP + DAY
    with capture_logs() as said:
        bench.calendar.count()
        for _ in range(3):
            bench.clock.seconds += 400
            bench.calendar.count()
    assert [one["code"] for one in said] == ["clock-leapt"], "once"
    ((known, doubted),) = bench.database.rows("SELECT known, doubted_s FROM reckoning")
    assert (known, doubted) == ("2026-11-23T09:21:00Z", 1200.0)
    bench.clock.seconds = 0.0  # as after a start: the monotonic clock begins anew
    again = Calendar(bench.database, bench.clock)
    assert again.known() == NOW + 21 * 60 * SECOND
    bench.clock.seconds += (TRIAL - 1200 * SECOND).total_seconds()
    again.count()
    assert again.known() == bench.clock.wall


def test_a_visit_from_before_there_was_a_calendar_begins_to_count_when_it_is_seen(bench: Bench) -> None:
    visit_id = bench.visit()
    with bench.database.transaction() as tx:
        tx.execute("DELETE FROM begun")
    assert not bench.pass_time(2 * DRAFTS)
    assert bench.calendar.age(visit_id) == timedelta()
    bench.pass_time(DAY)
    assert bench.calendar.age(visit_id) == DAY
    with bench.database.transaction() as tx:
        bench.calendar.begin(tx, visit_id)
    assert bench.calendar.age(visit_id) == DAY, "to begin again changes nothing"
