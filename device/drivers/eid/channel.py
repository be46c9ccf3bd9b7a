"""The card of one reader for one piece of work: connected, in transactions, every command announced.

Select and what follows belong in one transaction, because another program's SELECT would change the file
under our READ, and its reset would take the PIN's right away.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from device.drivers.eid import pcsc
from device.drivers.eid.apdu import Answer, Command, Send, right_length, whole_answer
from device.drivers.eid.left_behind import Work
from device.drivers.eid.watch import look_again
from device.errors import Code, KitError, Remedy

GONE_WITHIN_S = 0.7  # pcscd polls every 0.4 s
BUSY_PAUSE_S = 0.1
CONNECTING = "connecting"  # name of the step in which another program may be what we wait for


class Disturbed(Exception):
    """The conversation broke off while the card may still be there."""


class Channel:
    """Used for one piece of work. `busy_s`: how long another program may have the reader for itself."""

    def __init__(self, work: Work[Any], busy_s: float) -> None:
        self._work = work
        self._busy_s = busy_s
        self.apdus = 0

    @contextmanager
    def connected(self, reader: str) -> Iterator[pcsc.Connection]:
        """Disturbed when pcscd or the card does not go along; KitError reader-in-use."""
        try:
            with pcsc.Context() as context:
                connection = self._connect(context, reader)
                try:
                    yield connection
                finally:
                    connection.disconnect()
        except pcsc.PcscError as error:
            raise Disturbed(str(error)) from error

    @contextmanager
    def transaction(self, connection: pcsc.Connection, reset: bool = False) -> Iterator[Send]:
        """Nobody else meanwhile. With `reset` the card forgets at the end what it was told, as a PIN."""

        def send(command: Command) -> Answer:
            return Answer.from_bytes(self.transmit(connection, bytearray(command.to_bytes())), command)

        self._work.step(CONNECTING)
        connection.begin()
        try:
            yield whole_answer(right_length(send))
        finally:
            with suppress(pcsc.PcscError):  # the card or pcscd may be gone; the transaction then is as well
                connection.end(reset)

    def transmit(self, connection: pcsc.Connection, wire: bytearray) -> bytes:
        """One command as it is, once, whatever the answer is. LeftBehind before it, when nobody waits."""
        self._work.step(f"command {wire[1]:02X}")
        self.apdus += 1
        raw = connection.transmit(wire)
        if not raw:  # a card pulled during a command: pcscd says success and hands over nothing
            raise Disturbed("empty answer")
        return raw

    def _connect(self, context: pcsc.Context, reader: str) -> pcsc.Connection:
        end = time.monotonic() + self._busy_s
        while True:
            self._work.step(CONNECTING)
            try:
                return context.connect(reader)
            except pcsc.PcscError as error:
                if error.code != pcsc.SHARING_VIOLATION:
                    raise
                if time.monotonic() > end:
                    raise KitError(Code.READER_IN_USE, Remedy.RETRY, str(error)) from error
            self._work.pause(BUSY_PAUSE_S)


def require_present(work: Work[Any], slot: pcsc.Slot, trouble: str) -> None:
    """KitError when the disturbance was the reader or the card going away."""
    work.step("looking whether the card is there")
    now = look_again(slot, GONE_WITHIN_S)
    if now is None:
        raise KitError(Code.NO_READER, Remedy.OFFICER, trouble)
    if not now.present or now.changes != slot.changes:
        raise KitError(Code.CARD_REMOVED, Remedy.RETRY, trouble)
