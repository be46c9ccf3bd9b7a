"""Before SQLite's one writer: threads first come, first served; programs as the kernel wakes them.

SQLite itself lets who finds it taken look again, after waits that grow to a tenth of a second: whoever comes
back at once, as the ingest does with its next batch, is let in again and again, while others wait for seconds
or are told that the database is locked.

Nobody waits for ever: whoever has waited for too long, because a program stands still in its turn (stopped,
or on a disk that hangs), hears which one it is, and is to try again later.
"""

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from server.db import holding
from server.db.holding import Holder


class WriterHeld(Exception):
    """SQLite's one writer was somebody else's for longer than one waits: nothing was begun, try again later.
    `by`: who has it, as far as is known."""

    def __init__(self, by: Holder, waited_s: float) -> None:
        super().__init__(f"held by {by.program} (process {by.process}), after a wait of {waited_s:.1f} s")
        self.by, self.waited_s = by, waited_s

    @property
    def told(self) -> Mapping[str, str | int | float]:
        """For the log."""
        return {"by": self.by.program, "process": self.by.process, "waited_s": round(self.waited_s, 1)}


class _Request:
    """The program's wish for the lock on the file: there is one at most, of whoever is first in the queue."""

    def __init__(self) -> None:
        self.granted = threading.Event()
        self.wanted = True


class Queue:
    """Not for a thread that has a turn already. `beside`: the database's file, "" for one that no other
    program sees; programs meet in a lock on a file of that name and `-turn`."""

    def __init__(self, beside: str = "") -> None:
        self._beside = beside
        self._file: int | None = None
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()
        self._request: _Request | None = None

    @contextmanager
    def turn(self, patience_s: float) -> Iterator[None]:
        """The block is ours alone. WriterHeld when it has not become so in `patience_s`."""
        began, mine = time.monotonic(), threading.Event()
        with self._lock:
            if self._taken:
                self._waiting.append(mine)
            else:
                self._taken = True
                mine.set()
        if not (mine.wait(patience_s) or self._gave_up(mine)):
            raise WriterHeld(holding.of_turn(self._beside), time.monotonic() - began)
        try:
            self._keep_out_others(began, patience_s)
            try:
                yield
            finally:
                if self._file is not None:
                    fcntl.flock(self._file, fcntl.LOCK_UN)
        finally:
            self._pass_on()

    def close(self) -> None:
        """When nobody waits any more."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _keep_out_others(self, began: float, patience_s: float) -> None:
        """Wait until no other process has a turn. One that dies loses it."""
        if not self._beside:
            return
        if self._file is None:
            self._file = os.open(f"{self._beside}-turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with self._lock:
            request = self._request
            if request is not None:
                request.wanted = True
        if request is None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                request = self._request = _Request()
                asking = threading.Thread(target=self._ask, args=(self._file, request), daemon=True)
                asking.start()
            else:
                return
        if not request.granted.wait(max(0.0, began + patience_s - time.monotonic())):
            with self._lock:
                if request.granted.is_set():
                    return
                request.wanted = False
            raise WriterHeld(holding.of_turn(self._beside), time.monotonic() - began)

    def _ask(self, file: int, request: _Request) -> None:
        """On a thread of its own: who waits for a lock has a place in the kernel's queue, and no limit. Who
        gave up meanwhile does not leave it with us."""
        fcntl.flock(file, fcntl.LOCK_EX)
        with self._lock:
            self._request = None
            if request.wanted:
                request.granted.set()
            elif self._file is not None:
                fcntl.flock(file, fcntl.LOCK_UN)

    def _gave_up(self, mine: threading.Event) -> bool:
        """Leave the queue; True when the turn came at that very moment."""
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return False
            return True

    def _pass_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False
