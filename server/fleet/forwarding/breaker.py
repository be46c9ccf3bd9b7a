"""A circuit breaker for each service: one that does not answer is left alone for a while, then tried once.

Without it every waiting packet would cost a worker its whole patience, again and again, while packets for
services that do answer stand in line behind.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

FAILURES = 5  # in a row, then it rests
FIRST_REST_S, LONGEST_REST_S = 15.0, 300.0


@dataclass
class _Line:
    failures: int = 0
    rest_s: float = 0.0
    until: float = 0.0
    code: str = ""


class Breaker:
    """By service. `monotonic` in seconds. Thread-safe; each worker process has its own."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._now = monotonic
        self._lines: dict[str, _Line] = {}
        self._lock = threading.Lock()

    def rests_s(self, service: str) -> float:
        """Seconds to leave the service alone; 0.0: go. After a rest one may go; others wait what it finds,
        and for the next rest if it never tells."""
        with self._lock:
            line = self._lines.get(service)
            if line is None or line.failures < FAILURES:
                return 0.0
            left = line.until - self._now()
            if left > 0:
                return left
            line.until = self._now() + FIRST_REST_S
            return 0.0

    def heard(self, service: str) -> None:
        """The service answered, whatever it said."""
        with self._lock:
            self._lines.pop(service, None)

    def why(self, service: str) -> str:
        """The code of the last failure; "" when there is none."""
        with self._lock:
            line = self._lines.get(service)
            return line.code if line is not None else ""

    def failed(self, service: str, code: str) -> None:
        """No answer, for the reason `code`."""
        with self._lock:
            line = self._lines.setdefault(service, _Line())
            line.failures += 1
            line.code = code
            if line.failures >= FAILURES:
                line.rest_s = min(max(FIRST_REST_S, line.rest_s * 2), LONGEST_REST_S)
                line.until = self._now() + line.rest_s
