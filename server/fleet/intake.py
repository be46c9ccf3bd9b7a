"""Gathers what comes over MQTT into batches: a commit costs the same for one message as for many.

A batch is committed when it is full, or when for a moment nothing more comes: alone, a message waits for
nothing but that moment. Only what is committed is handed on to be acknowledged.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.db.engine import Database
from server.fleet import ingest
from server.fleet.ingest import Heard, Roots

FULL = 400
MOMENT_S = 0.002
LOOK_S = 0.2  # how soon `stop` is seen


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message; `ticket` is whatever the acknowledgement takes."""

    topic: str
    payload: bytes
    ticket: tuple[int, int]


class Intake:
    """`acknowledge` gets what was committed, and what became of each, on the thread of `run`.

    `roots`: what the kits' signing certificates lead to."""

    def __init__(
        self,
        database: Database,
        acknowledge: Callable[[Sequence[Delivery], Sequence[Heard]], None],
        clock: Callable[[], datetime],
        roots: Roots,
    ) -> None:
        self._database = database
        self._acknowledge = acknowledge
        self._clock = clock
        self._roots = roots
        self._waiting: deque[Delivery] = deque()  # adding and taking are each one step for all threads
        self._came = threading.Event()

    def put(self, delivery: Delivery) -> None:
        """From any thread. How many may wait is for the sender to bound (MQTT's receive maximum)."""
        self._waiting.append(delivery)
        self._came.set()

    def run(self, stop: threading.Event) -> None:
        """Until `stop`. What cannot be committed is raised: nothing of its batch was acknowledged."""
        while not stop.is_set():
            if not self._waiting:
                self._came.wait(LOOK_S)
                self._came.clear()
                continue
            self._gather(stop)
            batch = [self._waiting.popleft() for _ in range(min(FULL, len(self._waiting)))]
            messages = [(each.topic, each.payload) for each in batch]
            heard = ingest.take_all(self._database, messages, self._clock(), self._roots)
            self._acknowledge(batch, heard)

    def _gather(self, stop: threading.Event) -> None:
        """Wait as long as more comes and there is room."""
        seen = -1
        while seen < len(self._waiting) < FULL:
            seen = len(self._waiting)
            stop.wait(MOMENT_S)
