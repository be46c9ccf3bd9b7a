"""Takes one piece of forwarding work as far as it goes now: offer, ask, verify the answer, settle.

No transaction is open while the service is asked. Whatever happens in between, the work is still in the
outbox, and the service recognises the packet by its id.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from protocol.lifecycle import ApplicationState
from protocol.sealed.receipt import BadReceipt
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.db.tables import Application
from server.fleet import applications, outbox
from server.fleet.blobs import BlobStore
from server.fleet.forwarding.answers import (
    Answer,
    Connector,
    Declined,
    Failed,
    Later,
    Receipted,
    Unknown,
)
from server.fleet.forwarding.breaker import Breaker
from server.fleet.forwarding.connectors import Connectors
from server.fleet.forwarding.receiptkeys import ReceiptKeysUnknown, receipt_of
from server.fleet.outbox import Claim

Settle = Callable[[Session, Application], None]
RESTING = "service-resting"  # in the log
_UNDER_WAY = (ApplicationState.UPLOADED, ApplicationState.FORWARDED)


class Forwarder:
    """Thread-safe. `breaker` rests the lines that do not answer."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        connectors: Connectors,
        breaker: Breaker,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._connectors = connectors
        self._breaker = breaker
        self._clock = clock

    def forward(self, claim: Claim) -> str:
        """Work on the application of `claim`; a code for the log of what became of it."""
        with self._database.reading(EVERYONE) as db:
            application = db.get(Application, claim.subject)
        if application is None or application.state not in _UNDER_WAY:
            return self._settle(claim, lambda db, row: None, "nothing-to-do")
        name = self._connectors.name(application.service_id, application.tenant)
        if name is None:
            return self._stuck(claim, "no-service")
        rest_s = self._breaker.rests_s(name)
        if rest_s > 0:
            self._again(claim, self._breaker.why(name) or RESTING, rest_s)  # what a person should hear
            return RESTING
        service = self._connectors.line(name)
        answer = self._ask(application, service)
        if isinstance(answer, Failed):
            self._breaker.failed(name, answer.code)
        else:
            self._breaker.heard(name)
        return self._judge(claim, application, service, answer)

    def _ask(self, application: Application, service: Connector) -> Answer:
        if application.state == ApplicationState.FORWARDED:
            answer = service.ask(application.packet_id)
            if not isinstance(answer, Unknown):
                return answer
        assert application.blob_sha256 is not None  # an application that arrived has one
        return service.offer(application.packet_id, self._blobs.read(application.blob_sha256))

    def _judge(self, claim: Claim, application: Application, service: Connector, answer: Answer) -> str:
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

    def _receipt(self, claim: Claim, application: Application, service: Connector, token: str) -> str:
        now = self._clock()
        try:
            receipt = receipt_of(application, token, service.receipt_keys(now))
        except ReceiptKeysUnknown as problem:
            return self._again(claim, problem.code)  # the administrator must renew the list first
        except BadReceipt as problem:
            return self._stuck(claim, problem.code)
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
            if application is None or application.state not in _UNDER_WAY:
                return "nothing-to-do"  # the service's own call was first
            settle(db, application)
        return code

    def _later(self, claim: Claim, after_s: float | None) -> str:
        now = self._clock()
        with self._database.writing(EVERYONE) as db:
            application = db.get_one(Application, claim.subject, with_for_update=True)
            if application.state in _UNDER_WAY:
                applications.offered(db, application, now)
            outbox.again(db, claim, now, "", after_s)
        return "offered"

    def _again(self, claim: Claim, code: str, wait_s: float | None = None) -> str:
        with self._database.writing(EVERYONE) as db:
            outbox.again(db, claim, self._clock(), code, wait_s)
        return code
