"""What is in which reader, kept up to date by a thread of our own that outlives pcscd.

Cards are seen when pcscd says so (its own poll is 0.4 s); readers that come and go within `ROUND_S`.
"""

import threading
import time
from contextlib import suppress

from device.drivers.eid.pcsc import Context, PcscError, Slot

ROUND_S = 0.4  # one look; also the time a new reader or a restarted pcscd may take to be seen
FIRST_LOOK_S = 2.0
LOOK_AGAIN_S = 0.05


class Watch:
    """Looks from the moment it is made until `close`."""

    def __init__(self) -> None:
        self._slots: tuple[Slot, ...] = ()
        self._detail = "starting"
        self._news = threading.Condition()
        self._version = 0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="eid-watch", daemon=True)
        self._thread.start()

    def slots(self) -> tuple[Slot, ...]:
        """The readers as last seen; waits for the very first look only. Empty while pcscd does not answer."""
        self.after(0, FIRST_LOOK_S)
        with self._news:
            return self._slots

    @property
    def detail(self) -> str:
        """Why there is no reader, for the administrator."""
        return self._detail

    def after(self, version: int, seconds: float) -> int:
        """Wait until something newer than `version` was seen, at most `seconds`; answers the version."""
        with self._news:
            self._news.wait_for(lambda: self._version > version, seconds)
            return self._version

    def close(self) -> None:
        self._closed.set()
        self._thread.join(2 * ROUND_S + 1)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                with Context() as context:
                    self._look(context)
            except PcscError as error:
                self._see((), str(error))
                self._closed.wait(ROUND_S)

    def _look(self, context: Context) -> None:
        while not self._closed.is_set():
            slots = context.slots()
            self._see(slots, "" if slots else "no reader is plugged in")
            if slots:
                # The look ends early when a card comes or goes; a reader more or less is seen at its end.
                context.wait(slots, ROUND_S)
            else:
                self._closed.wait(ROUND_S)

    def _see(self, slots: tuple[Slot, ...], detail: str) -> None:
        with self._news:
            if slots == self._slots and detail == self._detail:
                return
            self._slots, self._detail = slots, detail
            self._version += 1
            self._news.notify_all()


def look_again(slot: Slot, seconds: float) -> Slot | None:
    """The reader of `slot` after lost communication; None when the reader itself is gone.

    Looks until the card is seen gone or replaced, at most `seconds`: pcscd sees a pull only at its next poll.
    """
    end = time.monotonic() + seconds
    while True:
        now: Slot | None = None
        with suppress(PcscError), Context() as context:
            now = next((other for other in context.slots() if other.name == slot.name), None)
        if now is None or not now.present or now.changes != slot.changes or time.monotonic() > end:
            return now
        time.sleep(LOOK_AGAIN_S)
