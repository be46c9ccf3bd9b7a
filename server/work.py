"""The job worker: claims work from the outbox and does it, on a few threads, until it is told to stop."""

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import structlog

from server.auth import sign_in, throttle
from server.db.engine import Database
from server.db.field_key import FieldKey
from server.db.listening import Bell
from server.db.not_now import NOT_NOW, told
from server.db.queueing import WriterHeld
from server.db.scope import EVERYONE
from server.db.turns import Leader
from server.fleet import (
    bags,
    holdings,
    ingest,
    jobs,
    outbox,
    reconciling,
    renewals,
    retention,
    supplements,
    twins,
    unclaimed,
    uploads,
)
from server.fleet.bags import Sealer
from server.fleet.blobs import BlobStore
from server.fleet.custody import Custodian
from server.fleet.forwarding.forwarder import Forwarder
from server.fleet.outbox import Claim, Queue
from server.fleet.uploads import Dock

IDLE_S = 0.25
RUNG_S = 2.0  # idle where a bell rings for new work; what waits for its time is found this late at most
TIDY_EVERY = timedelta(minutes=1)
FORWARDERS = 3  # so that one slow service does not hold up the others

log = structlog.get_logger()


def utc_now() -> datetime:
    return datetime.now(UTC)


class Worker:
    """Everything that works on the outbox but the doorbells, which are the MQTT worker's."""

    def __init__(
        self,
        database: Database,
        fields: FieldKey,
        sealer: Sealer,
        blobs: BlobStore,
        dock: Dock,
        forwarder: Forwarder,
        custodian: Custodian,
    ) -> None:
        self._database = database
        self._fields = fields
        self._sealer = sealer
        self._blobs = blobs
        self._dock = dock
        self._forwarder = forwarder
        self._custodian = custodian

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; the work in hand is finished first."""
        rung: dict[str, threading.Event] = {"forward": threading.Event(), "bag": threading.Event()}
        rung["custody"], rung["steer"] = threading.Event(), threading.Event()

        def ring(queue: str) -> None:
            for event in [rung[queue]] if queue in rung else () if queue else rung.values():
                event.set()

        loops = [
            *(lambda: self._drain("forward", self._forward, rung, stop) for _ in range(FORWARDERS)),
            lambda: self._drain("bag", self._bag, rung, stop),
            lambda: self._drain("custody", self._sign, rung, stop),
            lambda: self._drain("steer", self._steer, rung, stop),
            lambda: self._tidy(stop),
        ]
        threads = [threading.Thread(target=loop, name=f"work-{number}") for number, loop in enumerate(loops)]
        with Bell(self._database, ring):
            for thread in threads:
                thread.start()
            stop.wait()
            for event in rung.values():
                event.set()  # the idle ones look up, and see that it is over
            for thread in threads:
                thread.join()

    def _drain(
        self,
        queue: Queue,
        do: Callable[[Claim], str],
        rung: Mapping[str, threading.Event],
        stop: threading.Event,
    ) -> None:
        idle_s = RUNG_S if self._database.postgresql else IDLE_S
        while not stop.is_set():
            try:
                worked = self._work_one(queue, do)
            except NOT_NOW as problem:  # what was claimed is claimed again, when its lease is over
                log.error("work waits", queue=queue, **told(problem))
                worked = False
            except Exception as problem:  # border: a thread would end unseen
                log.error("work waits", queue=queue, exc_info=problem)
                worked = False
            if not worked:
                rung[queue].wait(idle_s)
                rung[queue].clear()

    def _work_one(self, queue: Queue, do: Callable[[Claim], str]) -> bool:
        claim = self._next(queue)
        if claim is None:
            return False
        try:
            outcome = do(claim)
        except WriterHeld:
            raise
        except Exception as problem:  # border: one bad piece must not stop the queue
            log.error("work failed", queue=queue, subject=claim.subject, exc_info=problem)
            self._put_back(claim)
        else:
            log.info("worked", queue=queue, subject=claim.subject, outcome=outcome, tries=claim.attempts)
        return True

    def _next(self, queue: Queue) -> Claim | None:
        now = utc_now()
        with self._database.reading(EVERYONE) as db:
            if not outbox.due(db, [queue], now):
                return None
        with self._database.writing(EVERYONE) as db:
            return next(iter(outbox.claim(db, [queue], 1, now)), None)

    def _put_back(self, claim: Claim) -> None:
        with self._database.writing(EVERYONE) as db:
            outbox.again(db, claim, utc_now(), "bug")

    def _forward(self, claim: Claim) -> str:
        outcome = self._forwarder.forward(claim)
        if outcome in retention.OVER:  # answered: nobody needs our copy any more
            retention.purge(self._database, self._blobs, utc_now())
        return outcome

    def _sign(self, claim: Claim) -> str:
        return self._custodian.sign(self._database, claim, utc_now())

    def _steer(self, claim: Claim) -> str:
        """Sign a job or the settings of a kit. The command key is here and not with who asks for it."""
        what, _, job = claim.body.partition(" ")
        with self._database.writing(EVERYONE) as db:
            if not outbox.done(db, claim):
                return "lease-lost"
            if what == "job":
                return jobs.sign(db, self._sealer, job, utc_now())
            return twins.sign(db, self._sealer, claim.subject, utc_now())

    def _bag(self, claim: Claim) -> str:
        with self._database.writing(EVERYONE) as db:
            if not outbox.done(db, claim):
                return "lease-lost"
            built = bags.build(db, self._fields, self._sealer, self._blobs, claim.subject, utc_now())
        if built is None:
            return "no-such-kit"
        if built.replaced:
            self._blobs.drop(built.replaced)  # yesterday's names must not stay, not even sealed
        return f"version-{built.version}"

    def _tidy(self, stop: threading.Event) -> None:
        """What has to happen by the clock, in one process of however many."""
        leader = Leader(self._database, "timers")
        while not stop.is_set():
            if leader.leads():
                try:
                    self._tidy_once(utc_now())
                except NOT_NOW as problem:
                    log.error("not tidied up", **told(problem))
                except Exception as problem:  # border: who leads and does nothing keeps all others from it
                    log.error("not tidied up", exc_info=problem)
            stop.wait(TIDY_EVERY.total_seconds())
        leader.leave()

    def _tidy_once(self, now: datetime) -> None:
        with self._database.writing(EVERYONE) as db:
            bags.renew(db, now)
            bags.take_away(db, self._blobs)
            sign_in.sweep(db, now)
            throttle.sweep(db, now)
            ingest.sweep(db, now)
            holdings.watch(db, now)
            renewals.watch(db, now)
            for packet_id in supplements.expire(db, now):
                log.warning("nobody took the parts anew in time", packet=packet_id)
            jobs.sweep(db, now)
            twins.renew(db, now)
            for packet_id in reconciling.reconcile(db, now):
                log.error("forwarding put back in the queue", packet=packet_id)
            for packet_id, code in unclaimed.watch(db, now):
                log.error("packet without application", packet=packet_id, code=code)
        uploads.sweep(self._database, self._dock, now)
        retention.purge(self._database, self._blobs, now)
