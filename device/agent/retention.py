"""Time limits, kept while nobody is unlocked as well: what is due is destroyed, noted, and certified.

Destroying needs no key. When a visit began stands beside the journal, in the kit's own reckoning.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from device.agent.cases import Cases
from device.agent.events import Expired
from device.agent.health import Drafts
from device.agent.reckoning import LEAP, Reckoning, Why, advance, destroyed_at, due
from device.agent.session import is_open
from device.errors import KitError
from device.ports import Clock
from device.spool.spool import Spool
from device.vault.database import Database, Transaction
from device.vault.shelf import Store
from protocol.instant import read_instant, write_instant

log = structlog.get_logger()

EVERY_S = 300.0
"""How often it is looked; a cut of the power costs so much of the reckoning at most."""

TABLES = (
    "CREATE TABLE IF NOT EXISTS reckoning (only INTEGER PRIMARY KEY CHECK (only = 1),"
    " known TEXT NOT NULL, doubted_s REAL NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS begun (visit_id TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT",
)


class Calendar:
    """The kit's reckoning on disk, and when each visit began by it. All calls on the desk's thread."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._counted = clock.monotonic()
        database.define(TABLES)
        row = database.row("SELECT known, doubted_s FROM reckoning")
        self._now = (
            Reckoning(clock.now())
            if row is None
            else Reckoning(read_instant(row[0]), timedelta(seconds=row[1]))
        )
        self.count()

    def count(self) -> None:
        """Bring the reckoning up to now, on disk."""
        now = self._clock.monotonic()
        after = advance(self._now, self._clock.now(), timedelta(seconds=now - self._counted))
        if after.doubted and not self._now.doubted:
            log.warning("clock-doubted", code="clock-leapt")
        with self._database.transaction() as tx:
            row = (write_instant(after.known), after.doubted.total_seconds())
            tx.execute("INSERT OR REPLACE INTO reckoning VALUES (1, ?, ?)", row)
        self._now, self._counted = after, now

    def known(self) -> datetime:
        """How late it is at least, by this reckoning."""
        return self._now.known + timedelta(seconds=self._clock.monotonic() - self._counted)

    def doubts(self) -> bool:
        """Whether the wall clock is further ahead than holidays explain, and not believed yet."""
        return self._clock.now() - self.known() > LEAP

    def begin(self, tx: Transaction, visit_id: str) -> None:
        """From now on the days of this visit count."""
        at = write_instant(self._now.known)
        tx.execute("INSERT INTO begun VALUES (?, ?) ON CONFLICT DO NOTHING", (visit_id, at))

    def age(self, visit_id: str) -> timedelta:
        """By this reckoning. A visit from before there was one begins to count now."""
        row = self._database.row("SELECT at FROM begun WHERE visit_id = ?", (visit_id,))
        if row is not None:
            return self._now.known - read_instant(row[0])
        with self._database.transaction() as tx:
            self.begin(tx, visit_id)
        return timedelta()


class Retention:
    """`let_go` is told of a visit before it is destroyed: it may lie on the counter."""

    def __init__(
        self,
        calendar: Calendar,
        cases: Cases,
        store: Store,
        spool: Spool,
        clock: Clock,
        drafts: timedelta,
        on_counter: Callable[[], str],
        let_go: Callable[[], None],
    ) -> None:
        self._calendar = calendar
        self._cases = cases
        self._store = store
        self._spool = spool
        self._clock = clock
        self._drafts = drafts
        self._on_counter = on_counter
        self._let_go = let_go
        self._next = clock.monotonic()

    def look(self) -> bool:
        """Now and then: destroy what is due; True when something was. What the disk refuses waits."""
        if self._clock.monotonic() < self._next:
            return False
        self._next = self._clock.monotonic() + EVERY_S
        try:
            self._calendar.count()
            self._sweep()
            expired = [visit_id for visit_id in list(self._cases.visits) if self._judge(visit_id)]
        except KitError as problem:
            log.error("retention-waits", code=str(problem.code), detail=problem.detail)
            return False
        return bool(expired)

    def drafts(self) -> Drafts:
        """What is begun and not finished, and the age of the oldest, for the fleet to know."""
        ages = [
            self._calendar.age(visit_id) for visit_id, visit in self._cases.visits.items() if is_open(visit)
        ]
        return Drafts(len(ages), int(max(ages, default=timedelta()).total_seconds()))

    def destroyed_since(self, moment: datetime | None) -> int:
        """Of how many visits the time was up later than that, by the reckoning; None: never."""
        if moment is None:
            return 0
        now = self._calendar.known()
        return sum(
            destroyed_at(now - self._calendar.age(visit_id), visit.expired.why, self._drafts) > moment
            for visit_id, visit in self._cases.visits.items()
            if visit.expired is not None
        )

    def _judge(self, visit_id: str) -> bool:
        why = due(self._cases.visits[visit_id], self._calendar.age(visit_id), self._drafts)
        if why is None or (why == "draft-limit" and self._on_counter() == visit_id):
            return False
        if self._on_counter() == visit_id:
            self._let_go()
        self._destroy(visit_id, why)
        return True

    def _destroy(self, visit_id: str, why: Why) -> None:
        sealed = self._cases.visits[visit_id].sealed

        def shred(tx: Transaction) -> None:
            self._store.destroy_visit(tx, visit_id)
            if sealed is not None:
                self._store.drop_sealed(tx, sealed.packet_id)

        self._cases.expire(visit_id, Expired(why), shred)
        if sealed is not None:
            self._spool.withdraw_packet(sealed.packet_id)
        say = log.error if why == "hard-limit" else log.info
        say("expired", visit=visit_id, reason=why, packet=sealed.packet_id if sealed else "")

    def _sweep(self) -> None:
        """What the spool still offers of visits that are over: a cut came between vault and spool."""
        for packet_id in self._spool.offered():
            visit_id = self._cases.of_packet(packet_id)
            if visit_id is None:
                continue
            visit = self._cases.visits[visit_id]
            if visit.answered is not None or visit.expired is not None:
                self._spool.withdraw_packet(packet_id)
