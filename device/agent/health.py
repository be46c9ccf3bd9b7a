"""How the kit is, as a table: battery, mains, temperature, disk, uptime; and the bodies that tell it the
fleet.

Every file is read under one prefix (`/sys` on a kit), so that a small tree of files serves a test.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import msgspec

from device.agent.snapshot import Link
from device.ports import Condition
from protocol.bag import READS
from protocol.messages import MOST_UNREAD, Birth, Health, Peripheral, label

Protection = Literal["hardware", "reduced"]

_LINE = 64
"""Longest file of sysfs that is read, in bytes."""


@dataclass(frozen=True)
class Measured:
    """What was read; None where this machine cannot say."""

    battery: int | None  # percent
    mains: bool | None
    temperature_c: int | None
    disk_free_mb: int
    uptime_s: int


@dataclass(frozen=True)
class Drafts:
    """Visits begun and not finished, whose captures are on the kit."""

    count: int
    oldest_s: int


NO_DRAFTS = Drafts(0, 0)


def measure(sys: Path, data: Path) -> Measured:
    """`sys` is where sysfs lies, `data` a folder on the partition that matters."""
    return Measured(
        battery=_battery(sys),
        mains=_mains(sys),
        temperature_c=_temperature(sys),
        disk_free_mb=shutil.disk_usage(data).free // 1_000_000,
        uptime_s=int(time.clock_gettime(time.CLOCK_BOOTTIME)),
    )


def health(
    measured: Measured,
    conditions: Mapping[str, Condition],
    link: Link,
    reports: int,
    in_visit: bool,
    drafts: Drafts = NO_DRAFTS,
    unread: Sequence[str] = (),
) -> Health:
    return Health(
        battery=measured.battery,
        mains=measured.mains,
        temperature_c=measured.temperature_c,
        disk_free_mb=measured.disk_free_mb,
        peripherals={name: condition.state for name, condition in sorted(conditions.items())},
        sealed_waiting=link.waiting,
        oldest_waiting_s=link.oldest_s,
        reports_waiting=reports,
        in_visit=in_visit,
        uptime_s=measured.uptime_s,
        drafts=drafts.count,
        oldest_draft_s=drafts.oldest_s,
        unread=tuple(unread[:MOST_UNREAD]) or msgspec.UNSET,
    )


def birth(
    conditions: Mapping[str, Condition], started: str, certificate_until: str, protection: Protection
) -> Birth:
    return Birth(
        version=version("thuisloket"),
        started=started,
        peripherals=tuple(
            Peripheral(name, label(of.model), label(of.serial), label(of.firmware))
            for name, of in sorted(conditions.items())
        ),
        certificate_until=certificate_until,
        bag=READS,
        protection=protection,
        test_trust="card" in conditions and conditions["card"].example,
    )


def _battery(sys: Path) -> int | None:
    """Percent of the first battery, power_supply(5) of the kernel's ABI documentation."""
    shares = [_number(supply / "capacity") for supply in _supplies(sys, {"Battery"})]
    return next((min(100, max(0, share)) for share in shares if share is not None), None)


def _mains(sys: Path) -> bool | None:
    lit = [_number(supply / "online") for supply in _supplies(sys, {"Mains", "USB", "Wireless"})]
    known = [value for value in lit if value is not None]
    return any(known) if known else None


def _temperature(sys: Path) -> int | None:
    """The hottest thermal zone, in whole degrees; sysfs has thousandths."""
    zones = [_number(zone / "temp") for zone in (sys / "class/thermal").glob("thermal_zone*")]
    hottest = max((zone // 1000 for zone in zones if zone is not None), default=None)
    return hottest if hottest is not None and -60 <= hottest <= 150 else None


def _supplies(sys: Path, kinds: set[str]) -> list[Path]:
    return [
        supply for supply in sorted((sys / "class/power_supply").glob("*")) if _text(supply / "type") in kinds
    ]


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.removeprefix("-").isdecimal() and text.isascii() else None


def _text(path: Path) -> str:
    """The line in a file of sysfs; empty when there is none, or the kernel has no answer just now."""
    try:
        with path.open("rb") as file:
            return file.read(_LINE).decode("ascii", "replace").strip()
    except OSError:
        return ""
