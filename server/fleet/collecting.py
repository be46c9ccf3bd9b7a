"""What a competent service may ask of us: what waits for it, the packet, where we think each application is.

And it may answer with its receipt. For one that fetches this is the way, for the others the net below it.

It sees the applications whose line it collects, and of those nothing but the sealed packet: the fleet cannot
open it either.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.lifecycle import ApplicationState
from protocol.sealed.receipt import BadReceipt, Receipt
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.db.tables import Application, Recapture
from server.fleet import applications
from server.fleet.blobs import BlobStore
from server.fleet.forwarding.connectors import Connectors
from server.fleet.forwarding.receiptkeys import ReceiptKeysUnknown, receipt_of
from server.fleet.refused import Refused
from server.settings import Service, lines

LONGEST_LIST = 200
LONGEST_STATEMENT = 1000
_WAITING = (ApplicationState.UPLOADED, ApplicationState.FORWARDED)


@dataclass(frozen=True)
class Waiting:
    """A packet to fetch; `size` in bytes."""

    packet_id: str
    service_id: str
    tenant: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Stated:
    """An application that has arrived here, and the state we hold it to be in."""

    packet_id: str
    manifest_sha256: str
    state: ApplicationState


class Collection:
    """By the name in a collector's certificate. Thread-safe."""

    def __init__(self, database: Database, blobs: BlobStore, services: Mapping[str, Service]) -> None:
        self._database, self._blobs = database, blobs
        self._connectors = Connectors({name: each for name, each in services.items() if _may_ask(each)})
        # Who may ask about each line; "" when nobody may.
        self._lines = {line: _asker(service) for line, service in lines(services)}

    def knows(self, collector: str) -> bool:
        return collector in self._lines.values()

    def waiting(self, collector: str) -> list[Waiting]:
        """The oldest packets that were not answered yet, at most LONGEST_LIST."""
        query = (
            select(Application)
            .where(Application.state.in_(_WAITING), Application.service_id.in_(self._services(collector)))
            .order_by(Application.uploaded)
        )
        found = []
        options = {"yield_per": 100}
        with (
            self._database.reading(EVERYONE) as db,
            closing(db.scalars(query, execution_options=options)) as rows,
        ):
            for row in rows:
                if self._collects(collector, row):
                    assert row.blob_sha256 is not None  # it arrived
                    assert row.size is not None
                    found.append(
                        Waiting(row.packet_id, row.service_id, row.tenant, row.size, row.blob_sha256)
                    )
                if len(found) == LONGEST_LIST:
                    break
        return found

    def statement(self, collector: str, after: str) -> tuple[list[Stated], bool]:
        """Every application of its lines that has arrived here, by packet id from the one behind `after` on;
        at most LONGEST_STATEMENT, and whether there are more."""
        query = (
            select(Application)
            .where(
                Application.uploaded.is_not(None),
                Application.packet_id > after,
                Application.service_id.in_(self._services(collector)),
            )
            .order_by(Application.packet_id)
        )
        found: list[Stated] = []
        options = {"yield_per": 200}
        with (
            self._database.reading(EVERYONE) as db,
            closing(db.scalars(query, execution_options=options)) as rows,
        ):
            for row in rows:
                if not self._collects(collector, row):
                    continue
                if len(found) == LONGEST_STATEMENT:
                    return found, True
                found.append(Stated(row.packet_id, row.manifest_sha256, ApplicationState(row.state)))
        return found, False

    def fetch(self, collector: str, packet_id: str, now: datetime) -> bytes:
        """The sealed packet; from now on it counts as forwarded. Refused unknown-application: also one that
        waits for a person's decision, and would be done past it, or that is answered."""
        with self._database.writing(EVERYONE) as db:
            row = db.get(Application, packet_id, with_for_update=True)
            if row is None or not self._collects(collector, row) or row.state not in _WAITING:
                raise Refused("unknown-application")
            assert row.blob_sha256 is not None  # it arrived
            applications.offered(db, row, now)
            digest = row.blob_sha256
        return self._blobs.read(digest)

    def answer(self, collector: str, packet_id: str, token: str, now: datetime) -> ApplicationState:
        """Settle it by the service's receipt; a second time changes nothing. Refused: unknown-application,
        receipt-keys-unknown, not-fetched, already-answered, and the codes of BadReceipt."""
        with self._database.writing(EVERYONE) as db:
            row = db.get(Application, packet_id, with_for_update=True)
            if row is None or not self._collects(collector, row):
                raise Refused("unknown-application")
            name = self._connectors.name(row.service_id, row.tenant)
            assert name is not None  # it collects it
            try:
                receipt = receipt_of(row, token, self._connectors.line(name).receipt_keys(now))
            except ReceiptKeysUnknown as problem:
                raise Refused("receipt-keys-unknown") from problem
            except BadReceipt as problem:
                raise Refused(problem.code) from problem
            if row.receipt is not None:
                if not _is_the_same(db, row, receipt):
                    raise Refused("already-answered")
            elif row.state not in _WAITING:
                raise Refused("not-fetched")
            else:
                applications.answered(db, row, receipt, token, now)
            return ApplicationState(row.state)

    def _services(self, collector: str) -> set[str]:
        return {line.partition("/")[0] for line, name in self._lines.items() if name == collector}

    def _collects(self, collector: str, row: Application) -> bool:
        own = f"{row.service_id}/{row.tenant}"
        line = own if own in self._lines else row.service_id
        return self._lines.get(line) == collector


def _is_the_same(db: Session, row: Application, receipt: Receipt) -> bool:
    """Whether it says what the answer that was taken said. What was asked for anew may be settled since."""
    asked = db.get(Recapture, row.packet_id)
    if asked is None:
        return receipt.verdict == row.state
    return receipt.asked is not None and list(receipt.asked.parts) == asked.parts


def _asker(service: Service) -> str:
    return service.pickup.collector if service.pickup else service.reconciler


def _may_ask(service: Service) -> bool:
    return any(_asker(each) for each in (service, *service.municipalities.values()))
