"""Schedules by seed: what happens to one application, the weather it meets, what is killed. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tests.custody.weather import BAD, Kind, Weather, forecast

Way = Literal["https", "broker", "stick", "relay"]
"""Over HTTPS; in pieces through the broker; on a stick to the fleet; on a stick to another kit."""
WAYS: tuple[Way, ...] = (*("https",) * 15, *("broker",) * 3, "stick", "relay")
REACH = 60_000  # bytes of a packet's upload and its TLS
REPORTS = 4_000  # and of the events told of it
ORDERS = (*("accept",) * 7, *("duplicate",) * 2, *("lose",) * 2, "delay:1", "recapture:photo")


@dataclass(frozen=True)
class Climate:
    """What a run's schedules are drawn from. `often`: the share in which a program of the fleet is killed;
    `victims`: which may be; `kinds`: of bad weather over HTTPS."""

    victims: Sequence[str]
    often: float = 0.06
    kinds: tuple[Kind, ...] = BAD
    ways: tuple[Way, ...] = WAYS


@dataclass(frozen=True)
class Strike:
    """kill -9 of a program, `after_s` into the schedule, and its start `down_s` later."""

    program: str
    after_s: float
    down_s: float


@dataclass(frozen=True)
class Schedule:
    """One application's fate. `is_shut`: the kit has no HTTPS until the packet has gone its other way;
    `torn_after_s`: when the import of a stick is killed; `order`: how the service treats the next one."""

    seed: int
    way: Way
    is_shut: bool
    mqtt: tuple[Weather, ...]
    https: tuple[Weather, ...]
    uplink_killed_after_s: float | None
    torn_after_s: float | None
    strikes: tuple[Strike, ...]
    order: str


def draw(seed: int, climate: Climate) -> Schedule:
    """The schedule of a seed."""
    chance = random.Random(seed)
    strikes: tuple[Strike, ...] = ()
    if chance.random() < climate.often:
        victim = chance.choice(climate.victims)
        strikes = (Strike(victim, chance.uniform(0, 0.8), chance.choice((0.0, 0.0, 0.4))),)
    way = chance.choice(climate.ways)
    return Schedule(
        seed,
        way,
        way == "broker" or (way != "https" and chance.random() < 0.5),
        tuple(forecast(chance, 3, REACH if way == "broker" else REPORTS)),
        tuple(forecast(chance, 4, REACH, climate.kinds)),
        chance.uniform(0, 0.6) if chance.random() < 0.15 else None,
        chance.uniform(0, 0.4) if chance.random() < 0.3 else None,
        strikes,
        chance.choice(ORDERS),
    )
