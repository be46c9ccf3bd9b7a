"""Threads of one process before SQLite's one writer: first come, first served.

SQLite itself lets who finds it taken look again, after waits that grow to a tenth of a second: whoever comes
back at once, as the ingest does with its next batch, is let in again and again, and the other one is told
after its patience that the database is locked.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Queue:
    """Not for a thread that has a turn already."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self, patience_s: float) -> Iterator[None]:
        """The block is ours alone; or begins when patience ends: then the database has the last word."""
        mine = threading.Event()
        with self._lock:
            if self._taken:
                self._waiting.append(mine)
            else:
                self._taken = True
                mine.set()
        ours = mine.wait(patience_s) or self._gave_up(mine)
        try:
            yield
        finally:
            if ours:
                self._pass_on()

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
