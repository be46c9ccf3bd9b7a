"""A desk in memory, behind Front: the real rules of a visit, and captures that end when a test says so."""

import threading
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from device.agent import events, view
from device.agent.deciding import decide
from device.agent.events import Wish
from device.agent.front import CaptureKind
from device.agent.snapshot import (
    Busy,
    CardSignIn,
    Courier,
    Errand,
    ErrandKind,
    Failure,
    Gate,
    Link,
    PinView,
    Snapshot,
    Where,
)
from device.agent.visit import NEW, Visit, evolve
from device.errors import Code, KitError, Refused, Remedy
from device.ports import CardReading, Condition, Finger, Hand
from protocol import catalogue
from protocol.ids import new_ulid
from protocol.recapture import Asked, Part
from tests.device.kiosk.newcomers import Enrolling
from tests.device.kiosk.today import AN, CARD, ENTRY, INK, OFFICERS, day, picture

PIN = "271828"
CHALLENGE = "6QZM-1T5N-0V3K-8WXA-PB7H-2CDE-9RST-4FGJ-6QZM-1T5N-0V3K-8WXA-PB7H-2CDE"
CODE = "1234" * 11


class MemoryDesk(Enrolling):
    """`finish` and `fail` end the capture that runs; `known` is every visit by id."""

    def __init__(self, *, real: bool = False) -> None:
        requests = day()
        self.first = requests[0].visit_id
        self.entry = ENTRY
        self._pin: PinView | None = None
        self.entered: list[str] = []
        self.where: Where | None = None
        self._own = AN
        self._packet = new_ulid()
        self._changed = threading.Condition()
        self._requests = {request.visit_id: request for request in requests}
        self._known: dict[str, Visit] = {}
        self._open = ""
        self._card: CardReading | None = None
        self.pin = PIN
        self._tries = 5
        self._wait_s = 0
        self._sending = ""
        fine = Condition("ok")
        self._snapshot = Snapshot(
            version=1,
            gate=Gate(OFFICERS, 5, 0),
            officer=None,
            visits=(),
            bag_date="",
            visit=None,
            busy=None,
            failure=None,
            peripherals=dict.fromkeys(("card", "camera", "fingerprint", "signature"), fine),
            link=Link(True, 0, 0, None),
            test_trust=not real,
            example_picture=not real,
            reduced_protection=not real,
        )
        self.preview_works = True
        self.tried = 0

    # --- Front ---

    def now(self) -> Snapshot:
        return self._snapshot

    def after(self, version: int, seconds: float) -> Snapshot:
        with self._changed:
            self._changed.wait_for(lambda: self._snapshot.version > version, seconds)
            return self._snapshot

    def unlock(self, officer_id: str, pin: str) -> None:
        self.turn_away(Code.TOO_MANY_TRIES if self._wait_s else self.shut)
        if officer_id not in [officer.officer_id for officer in OFFICERS]:
            raise KitError(Code.UNKNOWN_OFFICER, Remedy.OFFICER)
        if pin != self.pin:
            self._tries -= 1
            self._wait_s = 0 if self._tries else 60
            self._show(gate=Gate(OFFICERS, self._tries, self._wait_s))
            raise KitError(Code.WRONG_PIN, Remedy.RETRY)
        self._tries = 5
        self._show(
            officer=next(each for each in OFFICERS if each.officer_id == officer_id),
            gate=Gate(OFFICERS, 5, 0),
            bag_date="2026-11-23",
        )

    def change_pin(self, old: str, new: str) -> None:
        if old != self.pin:
            raise KitError(Code.WRONG_PIN, Remedy.RETRY)
        if len(new) < 6:
            raise KitError(Code.WEAK_PIN, Remedy.RETRY)
        self.pin = new

    def challenge(self, officer_id: str) -> str:
        if officer_id != OFFICERS[0].officer_id:
            raise KitError(Code.NO_WAY_BACK, Remedy.WORKSHOP)
        return CHALLENGE

    def recover(self, officer_id: str, code: str, pin: str) -> None:
        if code.replace(" ", "") != CODE:
            raise KitError(Code.WRONG_CODE, Remedy.RETRY)
        self.pin = pin

    def show_card(self, officer_id: str) -> None:
        self._own = next(each for each in self._snapshot.gate.officers if each.officer_id == officer_id)
        self._show(
            gate=replace(self._snapshot.gate, card=CardSignIn(self._own, None, "", False)),
            busy=Busy("officer-state", 0.3, "starting"),
        )

    def enter_officer_pin(self, entry: str, pin: bytearray, last_try: bool) -> None:
        held = self._snapshot.gate.card
        if held is None or held.pin is None or held.pin.entry != entry:
            raise Refused(Code.NOT_NOW)
        self.entered.append(f"{pin.decode()} {last_try}")
        self._show(busy=Busy("officer-card", 0.3, "starting"))

    def hide_card(self) -> None:
        self._show(gate=replace(self._snapshot.gate, card=None), busy=None)

    def own_card(self, *, pin: PinView | None = None, problem: str = "", proven: bool = False) -> None:
        """The officer's own card answered."""
        card = CardSignIn(self._own, pin, problem, proven)
        self._show(gate=replace(self._snapshot.gate, card=card), busy=None)

    def lock(self) -> None:
        self._open = ""
        self._show(officer=None, busy=None, failure=None)

    def choose(self, visit_id: str) -> None:
        request = self._requests.get(visit_id)
        if request is None:
            raise Refused(Code.UNKNOWN_VISIT)
        self._open = visit_id
        if visit_id not in self._known:
            self._known[visit_id] = NEW
            about = (visit_id, request.service_id, self.entry.digest, AN.officer_id, request.tenant, 1)
            asked = request.supplements
            again = () if asked is msgspec.UNSET else (asked.parts, asked.packet_id, asked.code)
            self.wish(events.Open(*about, *again))
        self._show()

    def leave(self) -> None:
        self._open = ""
        self._show(failure=None)

    def wish(self, wish: Wish) -> None:
        if not self._open:
            raise Refused(Code.NOT_NOW)
        for event in decide(self._known[self._open], wish, self.entry.service):
            self._known[self._open] = evolve(self._known[self._open], event)
        self._show(failure=None)

    def start(self, what: CaptureKind, hand: Hand | None = None, finger: Finger | None = None) -> None:
        if self._snapshot.busy or not self._open:
            raise Refused(Code.NOT_NOW)
        self._show(
            busy=Busy(what, 0.0, "sealing" if what == "seal" else "starting", hand, finger), failure=None
        )

    def enter_pin(self, entry: str, pin: bytearray, last_try: bool) -> None:
        if self._snapshot.busy or self._pin is None or entry != self._pin.entry:
            raise Refused(Code.NOT_NOW)
        self.entered.append(f"{pin.decode()} {last_try}")
        self._pin = None
        self._show(busy=Busy("possession", 0.0, "starting"), failure=None)

    def say_pin(self, tries_left: int | None = 3, certificate: str = "valid", said: str = "") -> None:
        """The card in the reader answered a question about its PIN, or an entry."""
        self._pin = PinView(new_ulid(), tries_left, certificate, said)  # type: ignore[arg-type]
        self._show(busy=None)

    def finish_ink(self) -> None:
        self.finish()

    def cancel(self) -> None:
        if self._snapshot.busy:
            self.fail(Code.CANCELLED, Remedy.RETRY)

    def try_now(self) -> None:
        self.tried += 1

    def carry(self) -> None:
        if self._snapshot.officer is None or self._open:
            raise Refused(Code.NOT_NOW)
        self._show(courier=Courier(None, None))

    def run_errand(self, what: ErrandKind, stick: str) -> None:
        courier = self._snapshot.courier
        if courier is None or stick not in {line.name for line in courier.sticks or ()}:
            raise Refused(Code.NOT_NOW)
        self._show(courier=replace(courier, errand=Errand(what, stick, "running")))

    def stop_carrying(self) -> None:
        self._show(courier=None)

    def dismiss(self) -> None:
        self._show(failure=None)

    def preview(self) -> bytes:
        if not self.preview_works:
            raise KitError(Code.CAMERA_FROZEN, Remedy.RETRY)
        return picture(640, 480)

    def part(self, record: str) -> tuple[str, bytes]:
        if record.startswith("signature"):
            return "image/svg+xml", INK.encode()
        return "image/jpeg", picture(420, 540)

    def summary(self) -> Mapping[str, str]:
        return view.summary(self._known[self._open], self.entry.service)

    # --- what the world does, as a test wants it ---

    def progress(self, share: float, code: str, ink_svg: str = "") -> None:
        busy = self._snapshot.busy
        assert busy is not None
        self._show(busy=replace(busy, share=share, code=code, ink_svg=ink_svg))

    def fail(self, code: Code, remedy: Remedy, *reasons: str) -> None:
        busy = self._snapshot.busy
        self._show(busy=None, failure=Failure(code, remedy, busy.what if busy else "wish", reasons))

    def finish(self, card: CardReading = CARD) -> None:
        """The capture that runs brings what it should."""
        busy = self._snapshot.busy
        assert busy is not None
        self._show(busy=None)
        record = f"{busy.what}-{new_ulid()}"
        if busy.what == "card":
            self._card = card
            self.wish(
                events.KeepCard(
                    record, "d", card.verdict, card.flags, card.genuine, True, expected_number=True
                )
            )
        elif busy.what == "possession":
            self.wish(events.ProvePossession(record, "d", True, True, same_holder=True))
        elif busy.what == "photo":
            self.wish(events.KeepPhoto(record, "d"))
        elif busy.what == "finger":
            assert busy.hand
            assert busy.finger
            self.wish(events.KeepFinger(busy.hand, busy.finger, record, f"digest {record}"))
        elif busy.what == "signature":
            self.wish(events.KeepSignature(record, "d"))
        else:
            self.wish(events.Seal(self._packet, "0" * 64, 300_000))

    def speak(self, language: str) -> None:
        """The citizens ask for another language."""
        self._requests = {
            key: msgspec.structs.replace(request, language=language)
            for key, request in self._requests.items()
        }
        self._show()

    def empty(self) -> None:
        """Nothing is planned today."""
        self._requests = {}

    def send(self, share: float) -> None:
        self._sending = self._packet
        self._show(link=Link(True, 1, 12, share))

    def answer(self, verdict: str, code: str = "", *parts: Part) -> None:
        self.wish(events.NoteAnswer(self._packet, verdict, code, parts))

    def ask_anew(self, *parts: Part) -> None:
        """Today's first visit is a short one, for these parts alone."""
        about = Asked(packet_id=self._packet, parts=parts, code="photo-blurred", until="2026-12-07T11:00:00Z")
        first = self._requests[self.first]
        self._requests[self.first] = msgspec.structs.replace(first, supplements=about)
        self.entry = catalogue.narrowed(ENTRY, parts)

    def known(self) -> Visit:
        """The open visit, as the rules hold it."""
        return self._known[self._open]

    def show(self, **changes: object) -> None:
        """Anything else of the snapshot."""
        self._show(**changes)

    def _show(self, **changes: object) -> None:
        with self._changed:
            snapshot = replace(self._snapshot, **changes)  # type: ignore[arg-type]
            visit = None
            if snapshot.officer and self._open:
                visit = view.visit_view(
                    self._known[self._open],
                    self._requests[self._open],
                    self.entry.service,
                    self._card,
                    self._sending,
                    self._pin,
                )
                visit = replace(visit, where=self.where, has_key=self.has_key, key=self.key)
            lines = view.lines(self._requests.values(), self._known) if snapshot.officer else ()
            self._snapshot = replace(snapshot, version=snapshot.version + 1, visit=visit, visits=lines)
            self._changed.notify_all()
