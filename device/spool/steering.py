"""What the fleet asks of this kit from afar, on its way through the spool: signed commands and the signed
wish going in, unjudged; what the agent has made of them coming out.

The uplink cannot tell a good one from a bad one: the agent judges, against the key that is pinned.
"""

from datetime import datetime
from pathlib import Path

import msgspec

from device.spool import layout, safefile
from device.spool.bell import Bell
from device.spool.held import read_newest
from device.spool.layout import Layout
from device.spool.records import Tuning
from device.spool.spool import room
from device.spool.timesource import is_plausible


class SteeringDesk:
    """The agent's side. What writes raises KitError disk-full."""

    def __init__(self, root: Path) -> None:
        self._at = Layout(root)
        self._bell = Bell(self._at.uplink_bell)

    def commands(self) -> list[tuple[str, str]]:
        """(claimed job, signed command), oldest job first."""
        found = []
        for job in self._at.ids(self._at.commands, ".jws"):
            data = safefile.take(self._at.command(job), layout.MAX_COMMAND)
            found.append((job, data.decode("ascii") if data is not None and data.isascii() else ""))
        return found

    def drop_command(self, job: str) -> None:
        """It has been dealt with."""
        safefile.drop(self._at.command(job))

    def wish(self) -> str:
        """The newest document that came; "" when none did."""
        data = safefile.take(self._at.wish, layout.MAX_COMMAND)
        return data.decode("ascii") if data is not None and data.isascii() else ""

    def tune(self, tuning: Tuning) -> None:
        """What the uplink is to be set to."""
        data = msgspec.json.encode(tuning)
        if safefile.take(self._at.tuning, 4096) != data:
            with room():
                safefile.put(self._at.tuning, data, writer="agent")
            self._bell.ring()

    def reconnect(self) -> None:
        """Have the uplink begin its connections anew."""
        with room():
            safefile.put(self._at.reconnect, b"", writer="agent")
        self._bell.ring()

    def is_taken_up(self) -> bool:
        """Whether the uplink has taken note of what it was last asked to do at once."""
        return not (self._at.reconnect.exists() or self._at.try_now.exists())

    def is_renewed(self) -> bool:
        """Whether both certificates whose renewal was commanded are in use; also when none was."""
        return not (self._at.renew_now.exists() or self._at.resign_now.exists())

    def clock_can_be_right(self, now: datetime) -> bool:
        return is_plausible(now, read_newest(self._at))
