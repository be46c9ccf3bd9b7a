"""The uplink's side of what the fleet steers this kit by: commands and wishes put down for the agent, which
judges them, and how the agent has set this process."""

from pathlib import Path

import msgspec

from device.spool import layout, safefile
from device.spool.bell import Bell
from device.spool.layout import Layout, SpoolRefused
from device.spool.records import Tuning


class SteeringHatch:
    """Of one spool; may be used from any thread."""

    def __init__(self, root: Path) -> None:
        self._at = Layout(root)
        self._bell = Bell(self._at.agent_bell)

    def store_command(self, job: str, token: str) -> None:
        """Keep a command for the agent. SpoolRefused bad-name, empty, too-big, full."""
        path = self._at.command(job)
        data = _bounded(token)
        if len(safefile.names(self._at.commands)) >= layout.MAX_COMMANDS and not path.exists():
            raise SpoolRefused("full", f"{layout.MAX_COMMANDS} commands wait for the agent")
        if safefile.take(path, layout.MAX_COMMAND) != data:
            safefile.put(path, data, writer="uplink")
        self._bell.ring()

    def store_wish(self, token: str) -> None:
        """Keep what the kit is wished to be. SpoolRefused empty, too-big."""
        data = _bounded(token)
        if safefile.take(self._at.wish, layout.MAX_COMMAND) != data:
            safefile.put(self._at.wish, data, writer="uplink")
            self._bell.ring()

    def tuning(self) -> Tuning:
        """What the agent has set this process to."""
        data = safefile.take(self._at.tuning, 4096)
        try:
            return msgspec.json.decode(data, type=Tuning) if data else Tuning()
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Tuning()

    def asked_to_reconnect(self) -> bool:
        return safefile.drop(self._at.reconnect)


def _bounded(token: str) -> bytes:
    if not token or len(token) > layout.MAX_COMMAND or not token.isascii():
        raise SpoolRefused("too-big" if token else "empty", f"{len(token)} characters")
    return token.encode("ascii")
