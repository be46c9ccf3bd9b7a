"""What the applet answers, strictly as a T=0 card (Belpic applet manuals 1.7 and 1.8, section 6).

A command has five bytes, or five and as much data as the fifth says: data with an Le behind it is 67 00. An
answer to a command with data waits for GET RESPONSE. All reads are free; signing needs the PIN.
"""

from collections.abc import Callable

from device.emulators.eid.held import APPLET_18, HeldCard
from device.emulators.eid.security import Security

OK = b"\x90\x00"
WRONG_LENGTH = b"\x67\x00"
NO_CURRENT_FILE = b"\x69\x86"
CONDITIONS = b"\x69\x85"
NOT_FOUND = b"\x6a\x82"
WRONG_P1P2 = b"\x6a\x86"
END_OF_FILE = b"\x6b\x00"
NO_INSTRUCTION = b"\x6d\x00"
NO_CLASS = b"\x6e\x00"
APPLET_ID = bytes.fromhex("A000000030290570 00AD13100101FF")
PKCS15_ID = bytes.fromhex("A000000177504B43532D3135")
MASTER = b"\x3f\x00"
MORE_IN_CARD_DATA = 1  # P2: with the remaining tries of the PIN, applet 1.8 only


class Applet:
    """One card while it has power. `exchange` takes a whole command and gives data and status."""

    def __init__(self, card: HeldCard) -> None:
        self._card = card
        self._security = Security(card)
        self._commands: dict[tuple[int, int], Callable[[int, int, int, bytes], bytes]] = {
            (0x00, 0xA4): self._select,
            (0x00, 0xB0): self._read_binary,
            (0x00, 0xC0): self._get_response,
            (0x00, 0x20): self._verify,
            (0x00, 0x22): self._set_environment,
            (0x00, 0x2A): self._sign,
            (0x00, 0x88): self._internal_authenticate,
            (0x80, 0xE4): self._card_data,
            (0x80, 0xE6): self._log_off,
        }
        self._file: bytes | None = None
        self._waiting = b""

    def reset(self) -> None:
        """After power and after reset the applet is selected, and no file."""
        self._file = None
        self._waiting = b""
        self._security.reset()

    def exchange(self, command: bytes) -> bytes:
        if len(command) < 4:
            return WRONG_LENGTH
        cla, ins, p1, p2 = command[:4]
        p3 = command[4] if len(command) > 4 else 0
        data = command[5:]
        if data and len(data) != p3:
            return WRONG_LENGTH
        run = self._commands.get((cla, ins))
        if run is None:
            return NO_INSTRUCTION if cla in (0x00, 0x80) else NO_CLASS
        if ins != 0xC0:
            self._waiting = b""
        return run(p1, p2, p3, data)

    def _select(self, p1: int, p2: int, p3: int, data: bytes) -> bytes:
        if p2 != 0x0C:
            return WRONG_P1P2
        if p1 == 0x04:
            return OK if data in (APPLET_ID, PKCS15_ID) else NOT_FOUND
        if p1 not in (0x02, 0x08) or len(data) % 2:
            return WRONG_P1P2
        path = data[2:] if p1 == 0x08 and data[:2] == MASTER else data
        if p1 == 0x02:
            found = [name for name in self._card.files if name[2:] == path]
            path = found[0] if found else path
        if path in self._card.files:
            self._file = path
            return OK
        if not path or any(name[:2] == path for name in self._card.files):  # a folder
            self._file = None
            return OK
        return NOT_FOUND

    def _read_binary(self, p1: int, p2: int, p3: int, data: bytes) -> bytes:
        if data:
            return WRONG_LENGTH
        if self._file is None:
            return NO_CURRENT_FILE
        content = self._card.files[self._file]
        offset = p1 << 8 | p2
        if p1 & 0x80 or offset >= len(content):
            return END_OF_FILE
        return _exactly(content[offset : offset + 256], p3)

    def _get_response(self, p1: int, p2: int, p3: int, data: bytes) -> bytes:
        if not self._waiting:
            return CONDITIONS
        length = p3 or 256
        if length > len(self._waiting):
            return bytes((0x6C, len(self._waiting) % 256))
        given, self._waiting = self._waiting[:length], self._waiting[length:]
        return given + (bytes((0x61, len(self._waiting) % 256)) if self._waiting else OK)

    def _card_data(self, p1: int, p2: int, p3: int, data: bytes) -> bytes:
        if p2 == MORE_IN_CARD_DATA and self._card.applet >= APPLET_18:
            return _exactly(self._card.card_data + bytes((self._security.tries, 0xFF, 0xFF)), p3)
        return WRONG_P1P2 if p1 or p2 else _exactly(self._card.card_data, p3)

    def _internal_authenticate(self, p1: int, p2: int, p3: int, data: bytes) -> bytes:
        if self._card.applet < APPLET_18:
            return NO_INSTRUCTION
        if (p1, p2) != (0x02, 0x81):
            return WRONG_P1P2
        return self._hand_over(self._security.prove(data))

    def _verify(self, p1: int, p2: int, p3: int, data: bytes) -> bytes:
        return self._security.verify(data) if (p1, p2) == (0x00, 0x01) else WRONG_P1P2

    def _set_environment(self, p1: int, p2: int, p3: int, data: bytes) -> bytes:
        return self._security.choose(data) if (p1, p2) == (0x41, 0xB6) else WRONG_P1P2

    def _sign(self, p1: int, p2: int, p3: int, data: bytes) -> bytes:
        return self._hand_over(self._security.sign(data)) if (p1, p2) == (0x9E, 0x9A) else WRONG_P1P2

    def _log_off(self, p1: int, p2: int, p3: int, data: bytes) -> bytes:
        self._security.reset()
        return OK

    def _hand_over(self, answer: bytes) -> bytes:
        """Data goes to GET RESPONSE; two bytes alone are a status."""
        if len(answer) == 2:
            return answer
        self._waiting = answer
        return bytes((0x61, len(answer) % 256))


def _exactly(content: bytes, p3: int) -> bytes:
    """`p3` bytes of `content`, or 6Cxx with the number there are. At most 256 are meant."""
    length = p3 or 256
    if length > len(content):
        return bytes((0x6C, len(content) % 256))
    return content[:length] + OK
