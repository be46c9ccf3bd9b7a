"""How late it is for what must be destroyed in time: the kit's own reckoning, which no clock can turn back.

A wall clock can be set by a thief, by a dead battery, or by a network that lies. So the kit counts for itself
(decision 0017): never back, always on while it runs, ahead with the wall clock by a step that holidays
explain, and further only after the clock has kept saying so for a day of running. Ages are differences in
this reckoning alone, so that an error of the past harms nothing that comes after it. Pure.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from device.agent.session import is_open
from device.agent.visit import Visit

LEAP = timedelta(days=10)
"""So long a kit may lie in its drawer without anybody wondering."""

TRIAL = timedelta(days=1)
"""So long it must have run with a clock that leapt further, before that is believed."""

HARD_LIMIT = timedelta(days=90)
"""Regulation (EU) 2025/1208, article 10: no biometric is kept longer than 90 days for making a card."""

Why = Literal["draft-limit", "hard-limit"]


@dataclass(frozen=True)
class Reckoning:
    """`known` is never later than the truth but for a clock that lied; `doubted` how long a leap has been
    on trial."""

    known: datetime
    doubted: timedelta = timedelta()


def advance(before: Reckoning, wall: datetime, ran: timedelta) -> Reckoning:
    """After having run for `ran` (monotonic; nothing for a start), with the wall clock at `wall`."""
    walked = before.known + ran
    if wall <= walked:
        return Reckoning(walked)
    if wall - walked <= LEAP or before.doubted + ran >= TRIAL:
        return Reckoning(wall)
    return Reckoning(walked, before.doubted + ran)


def due(visit: Visit, age: timedelta, drafts: timedelta) -> Why | None:
    """Why what the kit holds of this visit must go now; None when it may stay, or nothing is left of it."""
    if not is_open(visit) and not is_waiting(visit):
        return None
    if age >= HARD_LIMIT:
        return "hard-limit"
    return "draft-limit" if is_open(visit) and age >= drafts else None


def destroyed_at(begun: datetime, why: Why, drafts: timedelta) -> datetime:
    """The earliest moment of the reckoning at which what was begun then was due."""
    return begun + (HARD_LIMIT if why == "hard-limit" else drafts)


def is_waiting(visit: Visit) -> bool:
    """Whether its packet waits for the service's answer."""
    return visit.sealed is not None and visit.answered is None and visit.expired is None
