"""Telling systemd that the agent works, so that one that hangs is started again while the officer waits.

`WatchdogSec=` in the unit; sd_notify(3): one datagram to the socket that NOTIFY_SOCKET names. Only who has
turned since the last time is alive: a process whose desk hangs is as good as dead, whatever else still runs.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence

ALIVE = b"WATCHDOG=1"
SHARE = 4
"""So many times in a watchdog's patience: one that is missed is no death."""


class Watchdog:
    """`turns` count, each grows for as long as somebody works. Without a supervisor it does nothing."""

    def __init__(
        self,
        turns: Sequence[Callable[[], int]],
        environment: Mapping[str, str] = os.environ,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._turns, self._now = turns, monotonic
        self._address = _address(environment)
        self._every_s = int(environment.get("WATCHDOG_USEC") or 0) / 1e6 / SHARE
        self._due = 0.0
        self._seen: tuple[int, ...] = ()

    def look(self) -> None:
        """To be called often: tells it when it is time, if all have turned since it was told last."""
        if self._address is None or not self._every_s or self._now() < self._due:
            return
        seen = tuple(turns() for turns in self._turns)
        if self._seen and any(before == after for before, after in zip(self._seen, seen, strict=True)):
            return
        self._seen, self._due = seen, self._now() + self._every_s
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as supervisor:
            try:
                supervisor.sendto(ALIVE, self._address)
            except OSError:  # systemd itself starts anew: the next one arrives
                return


def _address(environment: Mapping[str, str]) -> str | None:
    """None where nobody watches, or somebody watches another process (sd_watchdog_enabled(3))."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    named = environment.get("NOTIFY_SOCKET", "")
    return "\0" + named[1:] if named.startswith("@") else named or None
