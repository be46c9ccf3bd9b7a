"""What the time stamps of this kit rest on, and whether its clock can be right at all."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

# systemd-timesyncd touches this once it has set the clock. adjtimex(2) would tell more, but the units of
# agent and uplink filter @clock, and a filtered call is a dead process.
SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
REAL_TIME_CLOCK = Path("/sys/class/rtc/rtc0")
SLACK = timedelta(days=1)
LONGEST_SILENCE = timedelta(
    days=400
)  # no kit hears nothing of its fleet for longer and still has a certificate


def is_plausible(now: datetime, newest: datetime) -> bool:
    """Whether a clock that says `now` can be right, when the fleet has said that it is `newest` or later.

    A kit that has never heard of its fleet (1970) has nothing to measure its clock by."""
    return newest.timestamp() == 0 or newest - SLACK <= now <= newest + LONGEST_SILENCE


def time_source(now: datetime, newest: datetime) -> Literal["ntp", "rtc", "none"]:
    """`ntp` when the clock was set from the network since start, else `rtc`; `none` without a clock, and
    when the clock cannot be right whoever set it."""
    if not is_plausible(now, newest):
        return "none"
    if SYNCHRONISED.exists():
        return "ntp"
    return "rtc" if REAL_TIME_CLOCK.exists() else "none"
