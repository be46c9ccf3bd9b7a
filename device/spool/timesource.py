"""What the time stamps of this kit rest on."""

from pathlib import Path
from typing import Literal

# systemd-timesyncd touches this once it has set the clock. adjtimex(2) would tell more, but the units of
# agent and uplink filter @clock, and a filtered call is a dead process.
SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
REAL_TIME_CLOCK = Path("/sys/class/rtc/rtc0")


def time_source() -> Literal["ntp", "rtc", "none"]:
    """`ntp` when the clock was set from the network since start, else `rtc` or `none`."""
    if SYNCHRONISED.exists():
        return "ntp"
    return "rtc" if REAL_TIME_CLOCK.exists() else "none"
