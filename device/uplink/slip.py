"""Between the uploader's thread and the session's: pieces down to the broker, the fleet's answers back."""

import queue
import threading
from collections import deque
from collections.abc import Callable

from device.uplink.problems import LinkDown
from protocol.ferry import Standing

_TICK_S = 0.2


class Slip:
    """The session says `up` and `down`, takes frames and lands answers; the uploader puts and waits. `wake`:
    there is something to take."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._frames: deque[tuple[str, bytes]] = deque()
        self._answers: queue.SimpleQueue[Standing] = queue.SimpleQueue()
        self._up = False
        self._number = 0  # of the session; frames of an attempt belong to one

    # --- the session ----------------------------------------------------------------------------------

    def up(self) -> None:
        with self._lock:
            self._frames.clear()
            self._up, self._number = True, self._number + 1

    def down(self) -> None:
        with self._lock:
            self._frames.clear()
            self._up = False

    def take(self) -> tuple[str, bytes] | None:
        """Packet id and frame of the next publish."""
        with self._lock:
            return self._frames.popleft() if self._frames else None

    def land(self, standing: Standing) -> None:
        self._answers.put(standing)

    # --- the uploader ---------------------------------------------------------------------------------

    @property
    def is_up(self) -> bool:
        return self._up

    def begin(self) -> int:
        """The number of this session, for `put`; answers to earlier attempts are dropped. LinkDown."""
        while not self._answers.empty():
            self._answers.get()
        if not self._up:
            raise LinkDown("link-lost", "no session with the broker")
        return self._number

    def put(self, number: int, packet_id: str, frame: bytes) -> None:
        """LinkDown when that session is over."""
        with self._lock:
            if not self._up or number != self._number:
                raise LinkDown("link-lost", "the session with the broker ended")
            self._frames.append((packet_id, frame))
        self._wake()

    def answer(self, number: int, seconds: float, is_over: Callable[[], bool]) -> Standing | None:
        """The next answer; None when it `is_over`. LinkDown when none comes, or the session is over."""
        left = seconds
        while not is_over():
            try:
                return self._answers.get(timeout=_TICK_S)
            except queue.Empty:
                left -= _TICK_S
            if not self._up or number != self._number:
                raise LinkDown("link-lost", "the session with the broker ended")
            if left <= 0:
                raise LinkDown("timed-out", "no answer through the broker")
        return None
