"""Keeps the broker in agreement with the database: at every change of a kit, at regular times, and by
night.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from server.broker.problem import BrokerProblem
from server.broker.steward import Manager
from server.broker.watch import Watch
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.db.turns import Leader
from server.fleet import outbox
from server.fleet.outbox import Claim

IDLE_S = 0.5
AGREE_EVERY = timedelta(minutes=5)
AGAIN = timedelta(seconds=15)  # after one that failed

log = structlog.get_logger()


class BrokerWorker:
    """`nightly` is called once a day, by one process of however many, and `watch` (None where the broker is
    somebody else's) by the same one. What `nightly` does may take a minute: it hears whether to leave it,
    because we are to stop, or because a kit was reported lost and waits for the broker."""

    def __init__(
        self,
        database: Database,
        manager: Manager,
        clock: Callable[[], datetime],
        nightly: Callable[[datetime, Callable[[], bool]], None],
        watch: Watch | None = None,
    ) -> None:
        self._database, self._manager, self._clock, self._nightly = database, manager, clock, nightly
        self._watch = watch
        self._agree_next: datetime | None = None

    def run(self, stop: threading.Event) -> None:
        leader = Leader(database=self._database, name="broker")
        while not stop.is_set():
            try:
                if self._watch is not None and leader.leads():
                    self._watch.look()
                worked = self._work_one()
                if leader.leads():
                    self._by_the_clock(lambda: stop.is_set() or self._is_wanted())
            except BrokerProblem as problem:
                log.warning("broker not managed", code=problem.code, remedy=problem.remedy)
                worked = False
            except Exception as problem:  # border: one bad piece must not stop the care of the broker
                log.error("broker care failed", exc_info=problem)
                worked = False
            if not worked:
                stop.wait(IDLE_S)
        leader.leave()

    def _by_the_clock(self, is_halted: Callable[[], bool]) -> None:
        now = self._clock()
        if self._agree_next is None or now >= self._agree_next:
            self._agree_next = now + AGAIN
            added, removed, righted = self._manager.agree()
            self._agree_next = now + AGREE_EVERY
            if added or removed or righted:
                log.info("broker put right", added=added, removed=removed, righted=righted)
        self._nightly(now, is_halted)

    def _is_wanted(self) -> bool:
        with self._database.reading(EVERYONE) as db:
            return outbox.presses(db, "broker", self._clock())

    def _work_one(self) -> bool:
        claim = self._next()
        if claim is None:
            return False
        try:
            outcome = self._manager.settle(claim.subject)
        except BrokerProblem as problem:
            with self._database.writing(EVERYONE) as db:
                outbox.again(db, claim, self._clock(), problem.code)
            raise
        with self._database.writing(EVERYONE) as db:
            outbox.done(db, claim)
        log.info("worked", queue="broker", subject=claim.subject, outcome=outcome, tries=claim.attempts)
        return True

    def _next(self) -> Claim | None:
        now = self._clock()
        with self._database.reading(EVERYONE) as db:
            if not outbox.due(db, ["broker"], now):
                return None
        with self._database.writing(EVERYONE) as db:
            return next(iter(outbox.claim(db, ["broker"], 1, now)), None)
