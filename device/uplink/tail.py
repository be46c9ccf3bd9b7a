"""Small requests behind the last bytes of an upload, so that a loss at its end is noticed.

TCP sees a loss by what arrives after it. After the last piece, and after its answer, nothing does: it then
waits for a time-out, which on a queued link is a second. A request that asks for nothing, repeated until the
answer is here, makes it a round trip, in both directions.
"""

from collections.abc import Callable

FIRST_S, EVERY_S, MOST = 0.03, 0.07, 7


class Tail:
    """`ask` makes the next request. Times of `time.monotonic`."""

    def __init__(self, ask: Callable[[], bytes]) -> None:
        self._ask = ask
        self._left = MOST
        self._due = 0.0  # not before all that was put has left

    def next(self, is_out: bool, now: float) -> bytes | None:
        """What is to be put now. `is_out`: nothing waits for its first sending."""
        if not is_out or not self._left:
            return None
        if not self._due:
            self._due = now + FIRST_S
        if now < self._due:
            return None
        self._left -= 1
        self._due = now + EVERY_S
        return self._ask()
