"""The officer's counter: the visit that lies on it, and everything that may change it, on the desk's one
thread.

Facts go through `Cases` (on disk first), captures through `Captures`; names and keys live in `Session` and go
with it. `put_down` is the end of the session, whatever was going on.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

import msgspec
import structlog

from device.agent import keeping, view
from device.agent.captures import Captures, Running, Taken
from device.agent.cases import Alongside, Cases, nothing_else
from device.agent.damaged import take_back
from device.agent.deciding import MAY, check_hour
from device.agent.events import (
    Abandon,
    CardKept,
    ChooseProcedure,
    ExceptFingers,
    ExceptPossession,
    ExceptSignature,
    Inform,
    KeepCard,
    KeepFinger,
    KeepPhoto,
    KeepSignature,
    Open,
    ProvePossession,
    Redo,
    Redone,
    Review,
    Seal,
    WaiveCard,
    Wish,
)
from device.agent.front import CaptureKind
from device.agent.holder import Entered, of_number, proving
from device.agent.judging import Judging
from device.agent.key_sealing import Answer, KeySealing
from device.agent.landmarks import Passed
from device.agent.records import REQUEST, only, pack, picture, unpack
from device.agent.sealing import Sealer
from device.agent.session import Session, is_open
from device.agent.snapshot import Busy, Failure, VisitView
from device.agent.visit import Visit, evolve, named, records, stage, wanted_finger
from device.errors import Code, KitError, Refused, Remedy
from device.ports import CardReading, Clock, Finger, Hand
from device.vault.database import Transaction
from protocol.bag import BagVisit
from protocol.catalogue import Entry
from protocol.possession import purpose

log = structlog.get_logger()

FROM_SCREEN = (
    *(WaiveCard, Inform, ExceptPossession, ChooseProcedure, ExceptFingers, ExceptSignature),
    *(Review, Redo, Abandon),
)
"""Wishes a screen may bring; all others follow from a capture, from sealing, or from the network."""

_KEEPS: Mapping[CaptureKind, type[Wish]] = {
    "card": KeepCard,
    "pin-state": ProvePossession,
    "photo": KeepPhoto,
    "finger": KeepFinger,
    "signature": KeepSignature,
    "seal": Seal,
    "seal-key": Seal,
}


class Counter:
    """One session at a time. `noted` is called after every fact, when there may be something to tell."""

    def __init__(
        self,
        cases: Cases,
        captures: Captures,
        sealer: Sealer,
        clock: Clock,
        passed: Passed,
        noted: Callable[[], None],
        keyed: KeySealing,
    ) -> None:
        self._cases = cases
        self._captures = captures
        self._sealer = sealer
        self._clock = clock
        self._passed, self._noted, self._keyed = passed, noted, keyed
        self._judging = Judging()
        self._visit_id = ""
        self._card: CardReading | None = None
        self._sealing = False
        self.session: Session | None = None
        self.failure: Failure | None = None

    # --- what is asked --------------------------------------------------------------------------------

    def take_up(self, session: Session) -> None:
        self.put_down()
        self.session = session

    def put_down(self) -> None:
        """Forget keys, names and what was going on."""
        self.leave()
        if self.session is not None:
            self.session.vault.lock()
        self.session = None

    def choose(self, visit_id: str) -> None:
        session = self._unlocked()
        self._nothing_runs()
        request = session.requests.get(visit_id)
        if request is None:
            raise Refused(Code.UNKNOWN_VISIT)
        visit = self._cases.visits.get(visit_id)
        card = None
        self._cases.entry(request.service_id, only(request))  # or there is no way on
        if visit is None:
            self._open(session, request)
        damaged = is_open(visit) and self._take_back(session, visit_id)
        visit = self._cases.visits[visit_id]
        if isinstance(visit.card, CardKept) and is_open(visit):
            card = unpack(session.vault.get(visit_id, visit.card.record, visit.card.digest).data, CardReading)
        self.leave()
        self._visit_id, self._card = visit_id, card
        self.failure = Failure(Code.CAPTURE_DAMAGED, Remedy.OFFICER, "wish") if damaged else None

    def leave(self) -> None:
        self._captures.abandon()
        for each in (self._judging, self._keyed, self._sealer):
            each.forget()
        self._visit_id, self._card, self._sealing, self.failure = "", None, False, None

    def wish(self, wish: Wish) -> None:
        session, visit_id, _, entry = self._on_counter()
        self._nothing_runs()
        self._keyed.forget()
        if not isinstance(wish, FROM_SCREEN):
            raise Refused(Code.NOT_NOW, "no wish of a screen")
        try:  # a Struct's constructor checks nothing, and the journal is read strictly
            msgspec.convert(msgspec.to_builtins(wish), type(wish))
        except msgspec.ValidationError as problem:
            raise Refused(Code.NOT_NOW, "malformed") from problem
        if isinstance(wish, ChooseProcedure):
            check_hour(wish.procedure, entry.service, self._clock.now())
        self._note(session, visit_id, wish)
        self.failure = None

    def start(self, what: CaptureKind, hand: Hand | None, finger: Finger | None) -> Callable[[], None] | None:
        """Begin; what must still be done on this thread after the screen was told, if anything."""
        session, visit_id, visit, entry = self._on_counter()
        self._nothing_runs()
        where = stage(visit, entry.service)
        if _KEEPS[what] not in MAY[where]:
            raise Refused(
                Code.STEP_MISSING if what == "seal" and where in entry.service.steps else Code.NOT_NOW
            )
        self.failure = None
        self._keyed.forget()
        if what == "seal":
            self._sealing = True
            return self._seal
        if what == "seal-key":
            example = self._captures.shows_example
            try:
                self._keyed.ask(visit, session.requests[visit_id], entry, session.vault, example)
            except KitError as problem:
                if not self._is_asked_again(session, visit_id, problem):
                    raise
            return None
        if not records(visit):  # it may have been opened days ago
            self._sealer.dry_run(session.requests[visit_id], entry, session.vault)
        if what == "finger":
            if hand is None or hand not in visit.hands:
                raise Refused(Code.NOT_NOW, "no hand")
            wanted = wanted_finger(visit, hand, entry.service)
            if wanted is None or finger not in (None, wanted):
                raise Refused(Code.NOT_NOW, "not the finger wanted")
            self._captures.start(what, hand, wanted)
        else:
            self._captures.start(what, None, None)
        return None

    def enter_pin(self, entry: str, entered: Entered, last_try: bool) -> None:
        """One entry of the holder's PIN, to the card that was kept. Refused not-now: nothing was sent."""
        session, visit_id, visit, catalogued = self._on_counter()
        self._nothing_runs()
        card = self._card
        if ProvePossession not in MAY[stage(visit, catalogued.service)] or not card or not card.identity:
            raise Refused(Code.NOT_NOW, "no PIN is asked for")
        self._judging.pad.use(entry, catalogued.service.possession)
        self.failure = None
        signed = purpose(visit_id, catalogued.service.service, session.requests[visit_id].tenant)
        work = proving(entered, signed, last_try, of_number(card.identity.national_number))
        self._captures.start("possession", work=work, over=entered.drop)

    def rehearse(self) -> None:
        """In a quiet moment: what sealing the visit on the counter will need."""
        if self.session is not None and self._visit_id:
            session, visit_id, visit, entry = self._on_counter()
            example = self._captures.shows_example
            self._sealer.rehearse(visit, session.requests[visit_id], entry, session.vault, example)

    def dismiss(self) -> None:
        self.failure = None

    def part(self, record: str) -> tuple[str, bytes]:
        session, visit_id, visit, _ = self._on_counter()
        if record not in named(visit):
            raise Refused(Code.NOT_NOW, "no capture of this visit")
        kept = session.vault.get(visit_id, record, named(visit)[record])
        return picture(kept.kind, kept.data)

    def summary(self) -> Mapping[str, str]:
        _, _, visit, entry = self._on_counter()
        return view.summary(visit, entry.service)

    # --- what is shown --------------------------------------------------------------------------------

    def visit_view(self, sending: str) -> VisitView | None:
        """`sending` is the packet the uplink is busy with."""
        if self.session is None or not self._visit_id:
            return None
        request = self.session.requests[self._visit_id]
        visit, entry = self._cases.visits[self._visit_id], self._cases.entry_of(self._visit_id)
        shown = view.visit_view(visit, request, entry.service, self._card, sending, self._judging.pad.view)
        has_key = self._keyed.has_key(self.session.officer.officer_id)
        return replace(shown, has_key=has_key, key=self._keyed.view)

    def busy(self) -> Busy | None:
        if self._sealing:
            return Busy("seal", 0.0, "sealing")
        return self._captures.running.busy if self._captures.running else None

    @property
    def in_visit(self) -> bool:
        return bool(self._visit_id)

    @property
    def visit_id(self) -> str:
        """The visit on the counter, or nothing."""
        return self._visit_id

    @property
    def test_trust(self) -> bool:
        card = self._captures.conditions.get("card")
        return (card is not None and card.example) or (self._card is not None and self._card.test_trust)

    # --- what comes back ------------------------------------------------------------------------------

    def taken(self, running: Running, taken: Taken) -> None:
        """A capture brought something: keep it, or say why not."""
        session, visit_id, _, entry = self._on_counter()
        request = session.requests[visit_id]
        judged = self._judging.judge(running, taken, request, entry.service)
        if judged is None or isinstance(judged, Failure):
            self.failure = judged
            return
        taken = judged
        kept = keeping.keep(running, taken, request, self._card, self._clock.now())

        def put(tx: Transaction) -> None:
            session.vault.put(tx, visit_id, kept.record, kept.kind, kept.data, kept.digest)

        try:
            self._note(session, visit_id, kept.wish, put)
        except Refused as refused:
            self.failure = Failure(refused.code, Remedy.RETRY, running.what)
        except KitError as problem:
            self.failed(running, problem)
        else:
            self._card = taken if isinstance(taken, CardReading) else self._card

    def failed(self, running: Running, problem: KitError) -> None:
        if problem.code is not Code.CANCELLED:  # the officer knows
            log.warning("capture-failed", what=running.what, code=str(problem.code), detail=problem.detail)
            self.failure = Failure(problem.code, problem.remedy, running.what)

    def answer_key(self, answer: Answer) -> None:
        """The officer's security key has answered what was asked. Refused not-now."""
        self._sealing = bool(self._keyed.packet_id)
        self._seal(answer)

    def _seal(self, answer: Answer | None = None) -> None:
        """The whole end of a visit: packet, journal and the destruction of its key are one transaction."""
        if not self._sealing:
            return  # locked or left in the meantime
        session, visit_id, visit, entry = self._on_counter()
        request, vault = session.requests[visit_id], session.vault
        packet_id = self._keyed.packet_id if answer else vault.next_id()
        try:
            with vault.create(packet_id) as file:
                written = (
                    self._keyed.write(file, answer)
                    if answer
                    else self._sealer.write(
                        file, packet_id, visit, request, entry, vault, self._captures.shows_example
                    )
                )

                def put(tx: Transaction) -> None:
                    vault.put_sealed(tx, packet_id, visit_id, written)
                    tx.first(lambda: self._passed("sealed:before"))

                self._note(session, visit_id, Seal(packet_id, written.manifest_sha256, written.size), put)
        except KitError as problem:
            log.error("not-sealed", visit=visit_id, code=str(problem.code), detail=problem.detail)
            self.failure = Failure(problem.code, problem.remedy, "seal")
            # What the disk does not even take back is found when the visit is chosen again.
            with suppress(KitError):
                self._is_asked_again(session, visit_id, problem)
        else:
            self._card = None
        finally:
            self._sealing = False
            self._keyed.forget()
            self._sealer.forget()

    # --- inside ---------------------------------------------------------------------------------------

    def _open(self, session: Session, request: BagVisit) -> None:
        """Begin a visit that can be sealed: known by trying, before anyone is bothered."""
        entry = self._cases.entry(request.service_id, only(request))
        self._sealer.dry_run(request, entry, session.vault)
        visit_id = request.visit_id

        def put(tx: Transaction) -> None:
            session.vault.new_visit_key(tx, visit_id)
            session.vault.put(tx, visit_id, REQUEST, "request", pack(request))

        about = (visit_id, request.service_id, entry.digest, session.officer.officer_id, request.tenant)
        asked = request.supplements
        again = () if asked is msgspec.UNSET else (asked.parts, asked.packet_id, asked.code)
        self._cases.note(visit_id, Open(*about, request.epoch, *again), put)
        self._noted()

    def _note(self, session: Session, visit_id: str, wish: Wish, alongside: Alongside = nothing_else) -> None:
        """Note a fact; what a step taken back or an abandoned visit held goes in the same transaction."""
        before = self._cases.visits[visit_id]

        def shred(tx: Transaction) -> None:
            if isinstance(wish, Redo):
                after = evolve(before, Redone(wish.step, wish.hand))
                for record in set(records(before)) - set(records(after)):
                    session.vault.drop(tx, visit_id, record)
            elif isinstance(wish, Abandon):
                session.vault.destroy_visit(tx, visit_id)
            alongside(tx)

        after = self._cases.note(visit_id, wish, shred)
        if not isinstance(after.card, CardKept) or after.abandoned:
            self._card = None
        if isinstance(wish, Redo | Abandon):
            self._judging.forget()
        self._noted()

    def _take_back(self, session: Session, visit_id: str) -> bool:
        """Whether a capture was damaged, and must be taken anew."""
        note = partial(self._note, session, visit_id)
        return take_back(session.vault, visit_id, self._cases.visits[visit_id], note)

    def _is_asked_again(self, session: Session, visit_id: str, problem: KitError) -> bool:
        """Whether it was for a damaged capture that nothing was sealed."""
        if problem.code is not Code.VAULT_DAMAGED or not self._take_back(session, visit_id):
            return False
        self.failure = Failure(Code.CAPTURE_DAMAGED, Remedy.OFFICER, "seal")
        return True

    def _unlocked(self) -> Session:
        if self.session is None:
            raise Refused(Code.LOCKED)
        return self.session

    def _on_counter(self) -> tuple[Session, str, Visit, Entry]:
        session = self._unlocked()
        if not self._visit_id:
            raise Refused(Code.NOT_NOW, "no visit chosen")
        return (
            session,
            self._visit_id,
            self._cases.visits[self._visit_id],
            self._cases.entry_of(self._visit_id),
        )

    def _nothing_runs(self) -> None:
        if self._captures.running is not None or self._sealing:
            raise Refused(Code.NOT_NOW, "a capture runs")
