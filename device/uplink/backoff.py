"""How long to wait before trying again: exponential with full jitter, so that kits do not return as one."""

import random


class Backoff:
    """`first` and `most` in seconds. The n-th wait is uniform between 0 and min(most, first * 2**n)."""

    def __init__(self, first: float, most: float, chance: random.Random | None = None) -> None:
        self._first = first
        self._most = most
        self._tries = 0
        self._chance = chance or random.Random()  # noqa: S311 - spreads load, guards nothing

    def next(self) -> float:
        ceiling = min(self._most, self._first * 2.0 ** min(self._tries, 32))
        self._tries += 1
        return self._chance.uniform(0, ceiling)

    def reset(self) -> None:
        self._tries = 0
