"""Work on a thread that can be left behind, because a call into pcscd cannot be given up from outside.

A card that never answers blocks SCardTransmit for ever. The work says before each such call what it is about
to do; who waits for it counts from there and gives up. The thread then ends by itself when the call comes
back (at the latest when the card is pulled), and does nothing further: its next step raises `LeftBehind`.
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from device.errors import KitError
from device.ports import Progress

Result = TypeVar("Result")
GLANCE_S = 0.05  # how often the waiting side looks at the cancel wish


class LeftBehind(Exception):
    """Inside the work: nobody waits any more."""


class Silent(Exception):
    """To who waits: the step named has taken too long."""


class Cancelled(Exception):
    """To who waits: the wish to stop came."""


class Work(Generic[Result]):
    """One piece of work, begun at once. `work` gets this object, and raises nothing but KitError."""

    def __init__(self, work: Callable[["Work[Result]"], Result]) -> None:
        self._work = work
        self._news: queue.SimpleQueue[tuple[float, str] | KitError | list[Result]] = queue.SimpleQueue()
        self._left = threading.Event()
        self._step = ("starting", time.monotonic())
        self._thread = threading.Thread(target=self._run, name="eid-read", daemon=True)
        self._thread.start()

    # --- inside the work

    def step(self, name: str) -> None:
        """Before every call that may block. LeftBehind when nobody waits any more."""
        if self._left.is_set():
            raise LeftBehind
        self._step = (name, time.monotonic())

    def pause(self, seconds: float) -> None:
        """Sleep, unless nobody waits any more."""
        self.step("waiting")
        if self._left.wait(seconds):
            raise LeftBehind

    def progress(self, share: float, code: str) -> None:
        self._news.put((share, code))

    def _run(self) -> None:
        try:
            self._news.put([self._work(self)])
        except KitError as error:
            self._news.put(error)
        except LeftBehind:
            return

    # --- outside

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def result(self, *, step_s: float, whole_s: float, cancel: threading.Event, progress: Progress) -> Result:
        """Wait for the result, passing progress on from the caller's thread.

        Leaves the work behind when one step takes more than `step_s` or all of it more than `whole_s` seconds
        (Silent), or when `cancel` is set (Cancelled).
        """
        end = time.monotonic() + whole_s
        try:
            while True:
                news = self._next()
                if isinstance(news, KitError):
                    raise news
                if isinstance(news, list):
                    self._thread.join()
                    return news[0]
                if news is not None:
                    progress(*news)
                    continue
                name, since = self._step
                now = time.monotonic()
                if now - since > step_s or now > end:
                    raise Silent(name)
                if cancel.is_set():
                    raise Cancelled
        finally:
            self._left.set()

    def _next(self) -> tuple[float, str] | KitError | list[Result] | None:
        try:
            return self._news.get(timeout=GLANCE_S)
        except queue.Empty:
            if not self.running and self._news.empty():
                raise RuntimeError("reading the card ended without a result") from None
            return None
