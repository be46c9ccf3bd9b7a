"""The card reader behind the port: which reader is meant, one read at a time, and an end to every wait."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from device.drivers.eid.atr import is_belgian_eid
from device.drivers.eid.channel import CONNECTING
from device.drivers.eid.left_behind import Cancelled, Silent, Work
from device.drivers.eid.pcsc import Slot
from device.drivers.eid.pin import NotAPin, verify_command, wipe
from device.drivers.eid.proving import Proving
from device.drivers.eid.session import Session
from device.drivers.eid.settings import Settings
from device.drivers.eid.trust import TrustStore
from device.drivers.eid.watch import Watch
from device.errors import Code, KitError, Remedy
from device.ports import Capture, CardReading, Condition, HolderProof, PinState, Presence, anybody

Result = TypeVar("Result")


def _wall_clock() -> datetime:
    return datetime.now(UTC)


def open_reader(
    settings: Settings, trust: TrustStore, now: Callable[[], datetime] = _wall_clock
) -> "PcscReader":
    """The reader of `settings`, plugged in or not yet: presence and condition say which. Never raises."""
    return PcscReader(settings, trust, now)


class PcscReader:
    """`presence`, `condition` and `close` may be called from any thread, also during a read."""

    def __init__(self, settings: Settings, trust: TrustStore, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._trust = trust
        self._now = now
        self._watch = Watch()
        self._turn = threading.Lock()
        self._work: Work[Any] | None = None
        self._blocks: dict[str, int] = {}  # bytes a READ that have worked, by reader

    def presence(self) -> Presence:
        slot = self._slot()
        if slot is None:
            return "no-reader"
        return "card" if slot.present else "no-card"

    def condition(self) -> Condition:
        slot = self._slot()
        if slot is None:
            return Condition("missing", detail=self._watch.detail, example=self._trust.test)
        detail = "a card has not answered; it must be taken out" if self._stuck else ""
        return Condition(
            "degraded" if detail else "ok", model=slot.name, detail=detail, example=self._trust.test
        )

    def read(self, capture: Capture) -> CardReading:
        """See the port. A mute card is reported after `answer_s`; any read ends within `read_s` seconds."""
        began = time.monotonic()

        def read(work: Work[CardReading], slot: Slot) -> CardReading:
            block = self._blocks.get(slot.name, self._settings.block)
            session = Session(work, self._settings, self._trust, self._now, block)
            reading = session.read(slot)
            self._blocks[slot.name] = session.block
            return reading

        reading = self._alone(read, capture)
        capture.progress(1.0, "checking")
        return replace(reading, ms=round((time.monotonic() - began) * 1000))

    def pin_state(self, capture: Capture) -> PinState:
        """See `CardHolderProof`; as patient as a read."""
        return self._alone(lambda work, slot: self._proving(work, slot).state(), capture)

    def prove(
        self,
        pin: bytearray,
        capture: Capture,
        *,
        purpose: bytes = b"",
        last_try: bool = False,
        accept: Callable[[HolderProof], bool] = anybody,
    ) -> HolderProof:
        """See `CardHolderProof`; as patient as a read."""
        try:
            verify = verify_command(pin)
        except NotAPin:
            return HolderProof("not-a-pin")
        finally:
            wipe(pin)
        begun = threading.Event()

        def prove(work: Work[HolderProof], slot: Slot) -> HolderProof:
            begun.set()
            proving = self._proving(work, slot)
            return proving.prove(verify, purpose, last_try, accept)  # wipes it, at the latest when pulled

        try:
            return self._alone(prove, capture)
        finally:
            if not begun.is_set():
                wipe(verify)

    def close(self) -> None:
        self._watch.close()

    @property
    def _stuck(self) -> bool:
        """An earlier read still waits for a card that never answered."""
        return self._work is not None and self._work.running and not self._turn.locked()

    def _proving(self, work: Work[Any], slot: Slot) -> Proving:
        return Proving(work, self._settings, self._trust, self._now, slot)

    def _alone(self, job: Callable[[Work[Result], Slot], Result], capture: Capture) -> Result:
        """`job` on the card that is meant, when nothing else is going on."""
        if not self._turn.acquire(blocking=False):
            raise KitError(Code.READER_IN_USE, Remedy.RETRY, "a read is going on")
        try:
            if self._work is not None and self._work.running:
                raise KitError(
                    Code.CARD_MUTE, Remedy.RETRY, "the card of the last read still does not answer"
                )
            slot = self._chosen(capture)
            return self._wait(lambda work: job(work, slot), capture)
        finally:
            self._turn.release()

    def _chosen(self, capture: Capture) -> Slot:
        slot = self._awaited(capture)
        if slot is None:
            raise KitError(Code.NO_READER, Remedy.OFFICER, self._watch.detail)
        if not slot.present:
            raise KitError(Code.NO_CARD, Remedy.OFFICER)
        if sum(is_belgian_eid(other.atr) for other in self._slots()) > 1:
            raise KitError(Code.TWO_CARDS, Remedy.OFFICER, "an eID in each of two readers")
        return slot

    def _awaited(self, capture: Capture) -> Slot | None:
        """The slot that is meant, and a moment's patience: pcscd looks for cards only every 0.4 s."""
        until = time.monotonic() + min(self._settings.appear_s, capture.deadline_s)
        while True:
            seen = self._watch.after(-1, 0)
            slot = self._slot()
            left = until - time.monotonic()
            if slot is None or slot.present or left <= 0 or capture.cancel.is_set():
                return slot
            self._watch.after(seen, min(left, 0.2))

    def _wait(self, job: Callable[[Work[Result]], Result], capture: Capture) -> Result:
        work = Work(job)
        self._work = work
        try:
            return work.result(
                step_s=self._settings.answer_s,
                whole_s=min(self._settings.read_s, capture.deadline_s),
                cancel=capture.cancel,
                progress=capture.progress,
            )
        except Silent as error:
            code = Code.READER_IN_USE if str(error) == CONNECTING else Code.CARD_MUTE
            raise KitError(code, Remedy.RETRY, f"no answer: {error}") from error
        except Cancelled as error:
            raise KitError(Code.CANCELLED, Remedy.RETRY) from error

    def _slot(self) -> Slot | None:
        """The reader named in the settings, else the one with an eID, else one with a card, else any."""
        return min(self._slots(), key=_rank, default=None)

    def _slots(self) -> list[Slot]:
        """The readers that are meant: the one of the name, else those whose names begin so."""
        named = self._settings.reader
        slots = [slot for slot in self._watch.slots() if slot.name.startswith(named)]
        return [slot for slot in slots if slot.name == named] or slots


def _rank(slot: Slot) -> tuple[bool, bool, str]:
    return (not is_belgian_eid(slot.atr), not slot.present, slot.name)
