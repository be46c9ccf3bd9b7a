"""Takes one piece of forwarding work as far as it goes now: offer, ask, verify the answer, settle.

No transaction is open while the service is asked. Whatever happens in between, the work is still in the
outbox, and the service recognises the packet by its id.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from protocol.lifecycle import ApplicationState
from protocol.sealed.receipt import BadReceipt, Receipt, verify_receipt
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.db.tables import Application
from server.fleet import applications, outbox
from server.fleet.blobs import BlobStore
from server.fleet.forwarding.service import (
    Answer,
    Declined,
    Failed,
    Later,
    Receipted,
    ReceiptKeysUnknown,
    Service,
    Unknown,
)
from server.fleet.outbox import Claim

Settle = Callable[[Session, Application], None]


class Forwarder:
    """`services` by service id. Thread-safe."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        services: Mapping[str, Service],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._services = services
        self._clock = clock

    def forward(self, claim: Claim) -> str:
        """Work on the application of `claim`; a code for the log of what became of it."""
        with self._database.reading(EVERYONE) as db:
            application = db.get(Application, claim.subject)
        if application is None or application.state not in (
            ApplicationState.UPLOADED,
            ApplicationState.FORWARDED,
        ):
            return self._settle(claim, lambda db, row: None, "nothing-to-do")
        service = self._services.get(application.service_id)
        if service is None:
            return self._stuck(claim, "no-service")
        return self._judge(claim, application, service, self._ask(application, service))

    def _ask(self, application: Application, service: Service) -> Answer:
        if application.state == ApplicationState.FORWARDED:
            answer = service.ask(application.packet_id)
            if not isinstance(answer, Unknown):
                return answer
        assert application.blob_sha256 is not None  # an application that arrived has one
        return service.offer(application.packet_id, self._blobs.read(application.blob_sha256))

    def _judge(self, claim: Claim, application: Application, service: Service, answer: Answer) -> str:
        match answer:
            case Receipted(token):
                return self._receipt(claim, application, service, token)
            case Later(after_s):
                return self._later(claim, after_s)
            case Declined(code):
                return self._stuck(claim, code)
            case Failed(code):
                return self._again(claim, code)
            case Unknown():
                return self._again(claim, "service-404")

    def _receipt(self, claim: Claim, application: Application, service: Service, token: str) -> str:
        now = self._clock()
        try:
            receipt: Receipt = verify_receipt(token, service.receipt_keys(now))
        except ReceiptKeysUnknown as problem:
            return self._again(claim, problem.code)  # the administrator must renew the list first
        except BadReceipt as problem:
            return self._stuck(claim, problem.code)
        about = (receipt.packet_id, receipt.manifest_sha256, receipt.kit_id)
        if about != (application.packet_id, application.manifest_sha256, application.kit_id):
            return self._stuck(claim, "receipt-of-another")
        return self._settle(
            claim, lambda db, row: applications.answered(db, row, receipt, token, now), receipt.verdict
        )

    def _stuck(self, claim: Claim, code: str) -> str:
        return self._settle(claim, lambda db, row: applications.stuck(row, code, self._clock()), code)

    def _settle(self, claim: Claim, settle: Settle, code: str) -> str:
        """The change and the end of the work, in one transaction, if the claim is still ours."""
        with self._database.writing(EVERYONE) as db:
            if not outbox.done(db, claim):
                return "lease-lost"
            application = db.get(Application, claim.subject, with_for_update=True)
            if application is not None:
                settle(db, application)
        return code

    def _later(self, claim: Claim, after_s: float | None) -> str:
        now = self._clock()
        with self._database.writing(EVERYONE) as db:
            application = db.get_one(Application, claim.subject, with_for_update=True)
            applications.offered(db, application, now)
            outbox.again(db, claim, now, "", after_s)
        return "offered"

    def _again(self, claim: Claim, code: str) -> str:
        with self._database.writing(EVERYONE) as db:
            outbox.again(db, claim, self._clock(), code)
        return code
