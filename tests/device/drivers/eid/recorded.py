"""What goes over the line to the card, seen from the one file that speaks PC/SC; looking changes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from device.drivers.eid.pcsc import Connection

VERIFY = 0x20
ONLY_HEADER = 5  # bytes


@dataclass
class Recorded:
    """Commands in order, and whether each lay within a transaction."""

    commands: list[bytes] = field(default_factory=list)
    outside: list[bytes] = field(default_factory=list)
    resets: int = 0
    _open: int = 0

    @property
    def entries(self) -> list[bytes]:
        """VERIFY with a PIN in it."""
        return [command for command in self.of(VERIFY) if len(command) > ONLY_HEADER]

    def of(self, ins: int) -> list[bytes]:
        return [command for command in self.commands if command[1] == ins]


@contextmanager
def recorded() -> Iterator[Recorded]:
    """All commands of this process meanwhile."""
    seen = Recorded()
    begin, end, transmit = Connection.begin, Connection.end, Connection.transmit

    def watched_begin(self: Connection) -> None:
        begin(self)
        seen._open += 1

    def watched_end(self: Connection, reset: bool = False) -> None:
        seen._open -= 1
        seen.resets += reset
        end(self, reset)

    def watched_transmit(self: Connection, command: bytearray) -> bytes:
        seen.commands.append(bytes(command))
        if not seen._open:
            seen.outside.append(bytes(command))
        return transmit(self, command)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "begin", watched_begin)
        patch.setattr(Connection, "end", watched_end)
        patch.setattr(Connection, "transmit", watched_transmit)
        yield seen
