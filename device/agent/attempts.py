"""How poor a capture may be: the first are asked again, then the best is kept. Never a dead end."""

from collections import defaultdict
from collections.abc import Hashable
from typing import Generic, TypeVar

HOPELESS = frozenset({"blank", "not-a-finger", "wrong-resolution", "same-finger"})
"""Hints of a picture that shows nothing of use: it is never kept, however often it comes."""

K = TypeVar("K")


class Attempts(Generic[K]):
    """The poor captures so far, by what they are of. In memory only: a restart begins anew."""

    def __init__(self) -> None:
        self._poor: dict[Hashable, list[tuple[int, K]]] = defaultdict(list)

    def judge(self, of: Hashable, capture: K, hints: tuple[str, ...], tries: int) -> K | None:
        """The capture to keep, or None when it must be asked again.

        Without hints it is this one; after `tries` poor ones that with the fewest hints, the latest of
        equals."""
        if not hints:
            self._poor.pop(of, None)
            return capture
        if HOPELESS.intersection(hints):
            return None
        poor = self._poor[of]
        poor.append((len(hints), capture))
        if len(poor) < tries:
            return None
        del self._poor[of]
        return min(reversed(poor), key=lambda each: each[0])[1]

    def forget(self) -> None:
        self._poor.clear()
