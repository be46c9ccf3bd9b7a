"""What leaves the agent through the spool, and the service's answers that come back through it.

Nothing here is remembered: what has not been offered or told is found in the journal and the vault, after a
crash as before it. Offering and telling twice is harmless; a packet is let go only on the service's signed
receipt.
"""

from collections.abc import Mapping

import structlog

from device.agent.cases import Cases
from device.agent.certifying import certify
from device.agent.events import Abandoned, Answered, Expired, NoteAnswer, NoteUploaded, Opened, Sealed
from device.agent.journal import SHRED, Entry
from device.agent.landmarks import Passed
from device.agent.recipients import Recipients
from device.agent.reckoning import is_waiting
from device.agent.sealing import KitSigner
from device.errors import Code, KitError, Remedy
from device.ports import Clock
from device.spool.spool import Spool
from device.vault.database import Transaction
from device.vault.store import Store
from protocol.messages import ApplicationEvent, Body, DeletionEvent, VisitEvent, encode_body
from protocol.sealed.receipt import BadReceipt, Receipt, verify_receipt
from protocol.topics import Tail

log = structlog.get_logger()

_TAILS: Mapping[type[Body], Tail] = {
    VisitEvent: Tail.VISIT,
    ApplicationEvent: Tail.APPLICATION,
    DeletionEvent: Tail.DELETION,
}


class Outgoing:
    """All calls on the desk's thread. What the disk or the list refuses is logged and tried again."""

    def __init__(
        self,
        cases: Cases,
        store: Store,
        spool: Spool,
        recipients: Recipients,
        kit: KitSigner,
        clock: Clock,
        passed: Passed,
    ) -> None:
        self._cases = cases
        self._store = store
        self._spool = spool
        self._recipients = recipients
        self._kit = kit
        self._clock = clock
        self._passed = passed
        self._disbelieved: set[str] = set()  # receipts that were logged already
        self._announced: bool | None = None  # not known what a life before this one has said

    def announce(self, is_near: bool) -> None:
        """Whether the visit on the counter is about to be sealed. Only a hint: it may be lost."""
        if is_near == self._announced:
            return
        self._announced = is_near
        try:
            self._spool.announce_packet(is_near)
        except KitError as problem:
            log.warning("spool-refused", code=str(problem.code), detail=problem.detail)

    def push(self) -> None:
        """Offer every sealed packet that the fleet has not, and tell it what it has not heard."""
        for packet in self._store.sealed():
            try:
                self._offer(packet.packet_id, packet.visit_id)
            except KitError as problem:
                log.warning("spool-refused", code=str(problem.code), detail=problem.detail)
        try:
            for entry in self._cases.journal.untold():
                self._tell(entry)
        except KitError as problem:
            log.warning("spool-refused", code=str(problem.code), detail=problem.detail)

    def pull(self) -> bool:
        """Take note of uploads and answers; True when there was something new."""
        before = dict(self._cases.visits)
        try:
            for packet_id in self._spool.uploaded():
                self._note_upload(packet_id)
            receipts = self._spool.receipts()
            if receipts:
                keys = self._recipients.receipt_keys(self._clock.now())
                for packet_id, token in receipts:
                    try:
                        receipt = verify_receipt(token, keys)
                    except BadReceipt as problem:
                        self._disbelieve(packet_id, problem.code)
                        continue
                    self._take(packet_id, receipt)
        except KitError as problem:
            log.warning("receipts-wait", code=str(problem.code), detail=problem.detail)
        return self._cases.visits != before

    def _offer(self, packet_id: str, visit_id: str) -> None:
        visit = self._cases.visits.get(visit_id)
        if (visit is not None and visit.uploaded is not None) or packet_id in self._spool.offered():
            return
        data = self._store.read_sealed(packet_id)
        if data is None:  # no cut does that: its file was taken away, or the disk lost it
            raise KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, f"no file of packet {packet_id}")
        self._passed("offered:before")
        self._spool.offer_packet(packet_id, data)
        self._passed("offered:after")

    def _tell(self, entry: Entry) -> None:
        self._passed("reported:before")
        # A journal from before there were certificates has no id for one: it comes last.
        for (tail, body), message_id in zip(self._bodies(entry), entry.messages, strict=False):
            self._spool.report(tail, body, message_id)
        self._passed("reported:after")
        with self._cases.journal.database.transaction() as tx:
            self._cases.journal.mark_told(tx, entry)

    def _bodies(self, entry: Entry) -> list[tuple[Tail, bytes]]:
        """As many as `journal.MESSAGES` says of this kind of fact."""
        event, visit_id = entry.event, entry.visit_id
        visit = self._cases.visits[visit_id]
        sealed, epoch = visit.sealed, visit.opened.epoch if visit.opened else 1
        told: list[VisitEvent | ApplicationEvent | DeletionEvent] = []
        if isinstance(event, Opened):
            told = [VisitEvent(visit_id, "opened", epoch=epoch)]
        elif isinstance(event, Abandoned):
            told = [VisitEvent(visit_id, "abandoned", event.reason, epoch)]
        elif isinstance(event, Sealed):
            application = ApplicationEvent(event.packet_id, visit_id, "sealed", event.manifest_sha256, epoch)
            told = [VisitEvent(visit_id, "sealed", epoch=epoch), application]
        elif isinstance(event, Answered):
            assert sealed is not None  # an answer follows a sealing
            told = [ApplicationEvent(event.packet_id, visit_id, "deleted", sealed.manifest_sha256, epoch)]
        elif isinstance(event, Expired) and sealed is None:
            told = [VisitEvent(visit_id, "abandoned", "expired", epoch)]
        elif isinstance(event, Expired) and sealed is not None:
            told = [ApplicationEvent(sealed.packet_id, visit_id, "deleted", sealed.manifest_sha256, epoch)]
        if type(event) in SHRED:
            told.append(DeletionEvent(certify(entry, sealed, self._kit)))
        return [(_TAILS[type(body)], encode_body(_TAILS[type(body)], body)) for body in told]

    def _note_upload(self, packet_id: str) -> None:
        visit_id = self._cases.of_packet(packet_id)
        if visit_id is None:
            # Carried for another kit, which keeps its own until the receipt: the fleet has it, so ours may
            # go.
            self._spool.withdraw_packet(packet_id)
            return
        visit = self._cases.visits[visit_id]
        if visit.uploaded is None and visit.answered is None and visit.expired is None:
            self._cases.note(visit_id, NoteUploaded(packet_id))

    def _take(self, packet_id: str, receipt: Receipt) -> None:
        """Believe a receipt that is of this kit, this packet and exactly this manifest; then let go."""
        visit_id = self._cases.of_packet(packet_id)
        sealed = self._cases.visits[visit_id].sealed if visit_id is not None else None
        if visit_id is None or sealed is None:
            self._disbelieve(packet_id, "unknown-packet")
            return
        expected = (self._kit.kit_id, packet_id, sealed.manifest_sha256)
        if (receipt.kit_id, receipt.packet_id, receipt.manifest_sha256) != expected:
            self._disbelieve(packet_id, "receipt-of-another")
            return
        if is_waiting(self._cases.visits[visit_id]):

            def drop(tx: Transaction) -> None:
                self._store.drop_sealed(tx, packet_id)

            self._passed("answered:before")
            asked = receipt.asked.parts if receipt.asked is not None else ()
            self._cases.note(visit_id, NoteAnswer(packet_id, receipt.verdict, receipt.code, asked), drop)
            self._passed("answered:after")
        self._spool.withdraw_packet(packet_id)
        self._passed("withdrawn:after")
        self._spool.drop_receipt(packet_id)

    def _disbelieve(self, packet_id: str, code: str) -> None:
        """It stays in the spool: a newer recipient list may know its key, the uplink may bring another."""
        if packet_id not in self._disbelieved:
            self._disbelieved.add(packet_id)
            log.warning("receipt-refused", packet=packet_id, code=code)
