"""The card reader behind the port: which reader is meant, one read at a time, and an end to every wait."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from device.drivers.eid.atr import is_belgian_eid
from device.drivers.eid.left_behind import Cancelled, Silent, Work
from device.drivers.eid.pcsc import Slot
from device.drivers.eid.session import CONNECTING, Session
from device.drivers.eid.settings import Settings
from device.drivers.eid.trust import TrustStore
from device.drivers.eid.watch import Watch
from device.errors import Code, KitError, Remedy
from device.ports import Capture, CardReader, CardReading, Condition, Presence


def _wall_clock() -> datetime:
    return datetime.now(UTC)


def open_reader(
    settings: Settings, trust: TrustStore, now: Callable[[], datetime] = _wall_clock
) -> CardReader:
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
        self._work: Work[CardReading] | None = None

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
        if not self._turn.acquire(blocking=False):
            raise KitError(Code.READER_IN_USE, Remedy.RETRY, "a read is going on")
        try:
            return self._read(capture)
        finally:
            self._turn.release()

    def close(self) -> None:
        self._watch.close()

    @property
    def _stuck(self) -> bool:
        """An earlier read still waits for a card that never answered."""
        return self._work is not None and self._work.running and not self._turn.locked()

    def _read(self, capture: Capture) -> CardReading:
        began = time.monotonic()
        if self._work is not None and self._work.running:
            raise KitError(Code.CARD_MUTE, Remedy.RETRY, "the card of the last read still does not answer")
        slot = self._slot()
        if slot is None:
            raise KitError(Code.NO_READER, Remedy.OFFICER, self._watch.detail)
        if not slot.present:
            raise KitError(Code.NO_CARD, Remedy.OFFICER)
        reading = self._wait(slot, capture)
        capture.progress(1.0, "checking")
        return replace(reading, ms=round((time.monotonic() - began) * 1000))

    def _wait(self, slot: Slot, capture: Capture) -> CardReading:
        def read(work: Work[CardReading]) -> CardReading:
            return Session(work, self._settings, self._trust, self._now).read(slot)

        self._work = Work(read)
        try:
            return self._work.result(
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
        named = self._settings.reader
        slots = [slot for slot in self._watch.slots() if slot.name.startswith(named)]
        exact = [slot for slot in slots if slot.name == named]
        return min(exact or slots, key=_rank, default=None)


def _rank(slot: Slot) -> tuple[bool, bool, str]:
    return (not is_belgian_eid(slot.atr), not slot.present, slot.name)
