"""The job worker: claims work from the outbox and does it, on a few threads, until it is told to stop."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from server.auth import sign_in, throttle
from server.db.engine import Database
from server.db.field_key import FieldKey
from server.db.scope import EVERYONE
from server.fleet import bags, ingest, outbox, uploads
from server.fleet.bags import Sealer
from server.fleet.blobs import BlobStore
from server.fleet.forwarding.forwarder import Forwarder
from server.fleet.outbox import Claim, Queue
from server.fleet.uploads import Dock

IDLE_S = 0.25
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
    ) -> None:
        self._database = database
        self._fields = fields
        self._sealer = sealer
        self._blobs = blobs
        self._dock = dock
        self._forwarder = forwarder

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; the work in hand is finished first."""
        loops = [
            *(lambda: self._drain("forward", self._forward, stop) for _ in range(FORWARDERS)),
            lambda: self._drain("bag", self._bag, stop),
            lambda: self._tidy(stop),
        ]
        threads = [threading.Thread(target=loop, name=f"work-{number}") for number, loop in enumerate(loops)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _drain(self, queue: Queue, do: Callable[[Claim], str], stop: threading.Event) -> None:
        while not stop.is_set():
            claim = self._next(queue)
            if claim is None:
                stop.wait(IDLE_S)
                continue
            try:
                outcome = do(claim)
            except Exception as problem:  # border: one bad piece must not stop the queue
                log.error("work failed", queue=queue, subject=claim.subject, exc_info=problem)
                self._put_back(claim)
            else:
                log.info("worked", queue=queue, subject=claim.subject, outcome=outcome, tries=claim.attempts)

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
        return self._forwarder.forward(claim)

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
        """What has to happen by the clock."""
        while not stop.is_set():
            now = utc_now()
            with self._database.writing(EVERYONE) as db:
                bags.renew(db, now)
                sign_in.sweep(db, now)
                throttle.sweep(db, now)
                ingest.sweep(db, now)
            uploads.sweep(self._database, self._dock, now)
            stop.wait(TIDY_EVERY.total_seconds())
