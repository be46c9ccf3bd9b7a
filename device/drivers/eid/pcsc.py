"""The only file that imports pyscard: its plain functions as a context, slots and a connection.

The classes of pyscard are not used: they power the card down behind one's back, and their monitor threads die
with pcscd. Every failure of a call is a `PcscError` with the code of PC/SC; codes are unsigned here.
"""

from dataclasses import dataclass

from smartcard import scard

TIMEOUT = 0x8010000A
SHARING_VIOLATION = 0x8010000B
UNKNOWN_READER = 0x80100009
NO_READERS = 0x8010002E

COUNTER_SHIFT = 16  # the upper half of an event state counts insertions and removals (pcsc-lite)


class PcscError(Exception):
    """A call that did not answer SCARD_S_SUCCESS."""

    def __init__(self, call: str, code: int) -> None:
        super().__init__(f"{call}: {code:08X}")
        self.code = code


@dataclass(frozen=True)
class Slot:
    """One reader at one moment."""

    name: str
    state: int
    present: bool
    mute: bool  # something is in it that gives no answer to reset
    atr: bytes

    @property
    def changes(self) -> int:
        """How often a card has come or gone since the reader appeared."""
        return self.state >> COUNTER_SHIFT


def _check(call: str, code: int) -> None:
    if code & 0xFFFFFFFF:
        raise PcscError(call, code & 0xFFFFFFFF)


class Connection:
    """A card shared with other programs, under T=0. To be disconnected always; the card keeps its power."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def begin(self) -> None:
        """Keep other programs out; waits while one of them does the same."""
        _check("SCardBeginTransaction", scard.SCardBeginTransaction(self._handle))

    def end(self, reset: bool = False) -> None:
        """Let others in again; with `reset` to a card that has forgotten every right it gave."""
        after = scard.SCARD_RESET_CARD if reset else scard.SCARD_LEAVE_CARD
        _check("SCardEndTransaction", scard.SCardEndTransaction(self._handle, after))

    def transmit(self, command: bytearray) -> bytes:
        """Raw answer with its status, or nothing when the card was pulled. Blocks while the card does."""
        values = list(command)
        try:
            code, answer = scard.SCardTransmit(self._handle, scard.SCARD_PCI_T0, values)
        finally:
            values[:] = bytes(len(values))  # it may hold a PIN
        _check("SCardTransmit", code)
        return bytes(value & 0xFF for value in answer)

    def disconnect(self, reset: bool = False) -> None:
        """Never raises: what is gone is gone."""
        scard.SCardDisconnect(self._handle, scard.SCARD_RESET_CARD if reset else scard.SCARD_LEAVE_CARD)


class Context:
    """A conversation with pcscd. Any error may mean that pcscd is gone: release it and make another."""

    def __init__(self) -> None:
        code, self._handle = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        _check("SCardEstablishContext", code)

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def release(self) -> None:
        scard.SCardReleaseContext(self._handle)

    def slots(self) -> tuple[Slot, ...]:
        """All readers as they are now, in the order of their names."""
        for last in (False, True):
            try:
                names = self._names()
                return self._now([(name, scard.SCARD_STATE_UNAWARE) for name in names]) if names else ()
            except PcscError as error:  # one was unplugged between the two questions
                if last or error.code != UNKNOWN_READER:
                    raise
        raise AssertionError("the last round answers or raises")

    def wait(self, slots: tuple[Slot, ...], seconds: float) -> bool:
        """Until something differs from `slots` (True), at most `seconds`."""
        known = [(slot.name, slot.state) for slot in slots]
        code, _ = scard.SCardGetStatusChange(self._handle, int(seconds * 1000), known)
        if code & 0xFFFFFFFF == TIMEOUT:
            return False
        if code & 0xFFFFFFFF != UNKNOWN_READER:  # unplugged: that is a difference
            _check("SCardGetStatusChange", code)
        return True

    def connect(self, reader: str) -> Connection:
        code, handle, _ = scard.SCardConnect(
            self._handle, reader, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_T0
        )
        _check("SCardConnect", code)
        return Connection(handle)

    def _names(self) -> list[str]:
        code, names = scard.SCardListReaders(self._handle, [])
        if code & 0xFFFFFFFF == NO_READERS:
            return []
        _check("SCardListReaders", code)
        return sorted(names)

    def _now(self, known: list[tuple[str, int]]) -> tuple[Slot, ...]:
        code, states = scard.SCardGetStatusChange(self._handle, 0, known)
        _check("SCardGetStatusChange", code)
        return tuple(_slot(*state) for state in states)


def _slot(name: str, event: int, atr: list[int]) -> Slot:
    state = event & 0xFFFFFFFF
    return Slot(
        name=name,
        state=state & ~scard.SCARD_STATE_CHANGED,
        present=bool(state & scard.SCARD_STATE_PRESENT),
        mute=bool(state & scard.SCARD_STATE_MUTE),
        atr=bytes(value & 0xFF for value in atr),
    )
