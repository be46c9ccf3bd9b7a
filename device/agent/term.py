"""What is left of a lease at a moment, by two clocks. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

SOON = timedelta(hours=8)
"""Less than this does not get through a day."""

TOMORROW = timedelta(hours=30)
"""Less than this may end in somebody's home tomorrow: a kit that was online today has more."""


@dataclass(frozen=True)
class Left:
    """Of the lease. `known` is no when this kit needs none."""

    known: bool = False
    time: timedelta = timedelta()
    visits: int = 0

    @property
    def ended(self) -> bool:
        return self.known and self.time <= timedelta()

    @property
    def enough_for_today(self) -> bool:
        return self.enough_for(1)

    @property
    def enough_for_tomorrow(self) -> bool:
        return not self.known or self.time >= TOMORROW

    def enough_for(self, visits: int) -> bool:
        """Whether so many visits that have not begun can begin today."""
        return not self.known or (self.time >= SOON and self.visits >= visits)


def left(
    held: bool, ends: datetime, wall_ends: datetime, visits: int, known: datetime, wall: datetime
) -> Left:
    """At `known` by the kit's reckoning and `wall` by the clock: the one that leaves less counts.

    Nothing is left where the share is not `held`."""
    time = min(ends - known, wall_ends - wall) if held else timedelta()
    return Left(True, max(time, timedelta()), visits)
