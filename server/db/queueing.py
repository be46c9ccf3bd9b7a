"""Before SQLite's one writer: threads first come, first served; programs as the kernel wakes them.

SQLite itself lets who finds it taken look again, after waits that grow to a tenth of a second: whoever comes
back at once, as the ingest does with its next batch, is let in again and again, while others wait for seconds
or are told that the database is locked.
"""

import fcntl
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Queue:
    """Not for a thread that has a turn already. `beside`: the database's file, "" for one that no other
    program sees; programs meet in a lock on a file of that name and `-turn`."""

    def __init__(self, beside: str = "") -> None:
        self._path = f"{beside}-turn" if beside else ""
        self._file: int | None = None
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self, patience_s: float) -> Iterator[None]:
        """The block is ours alone; or begins when the patience with our own threads ends: then the database
        has the last word."""
        mine = threading.Event()
        with self._lock:
            if self._taken:
                self._waiting.append(mine)
            else:
                self._taken = True
                mine.set()
        ours = mine.wait(patience_s) or self._gave_up(mine)
        try:
            if ours:
                self._keep_out_others()
            yield
        finally:
            if ours:
                self._pass_on()

    def close(self) -> None:
        """When nobody waits any more."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _keep_out_others(self) -> None:
        """Wait until no other process has a turn. One that dies loses it."""
        if self._path:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def _gave_up(self, mine: threading.Event) -> bool:
        """Leave the queue; True when the turn came at that very moment."""
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return False
            return True

    def _pass_on(self) -> None:
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False
