"""TPM 2.0 on the wire: command and response frames, sized buffers, response codes. Pure.

TCG TPM 2.0 Library, part 1 (18: command and response structure), part 2 (structures, 6.6 response codes).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

NO_SESSIONS, SESSIONS = 0x8001, 0x8002  # TPM_ST_NO_SESSIONS, TPM_ST_SESSIONS
LARGEST = 4096  # bytes of a command or response
HEADER = 10
OK = 0x000

# TPM_RC, with the number of handle, parameter or session taken out by `meaning`
HANDLE, AUTH_FAIL, BAD_AUTH, INTEGRITY = 0x08B, 0x08E, 0x0A2, 0x09F
AUTH_UNAVAILABLE = 0x12F
OBJECT_MEMORY, SESSION_MEMORY, MEMORY = 0x902, 0x903, 0x904
AGAIN = frozenset({0x908, 0x90A, 0x920, 0x922})  # YIELDED, TESTING, NV_RATE, RETRY: ask the same once more


class TpmError(Exception):
    """The TPM refused a command. `code` is what `meaning` makes of its answer."""

    def __init__(self, code: int, command: int) -> None:
        super().__init__(f"TPM answered 0x{code:03x} to command 0x{command:03x}")
        self.code = code


class BadAnswer(ValueError):
    """What came back is no TPM response, or not one to this command."""


@dataclass(frozen=True)
class Authorization:
    """TPMS_AUTH_COMMAND or TPMS_AUTH_RESPONSE; a response has no handle."""

    nonce: bytes
    attributes: int
    hmac: bytes
    handle: int = 0


@dataclass(frozen=True)
class Response:
    handles: bytes
    parameters: bytes
    authorizations: tuple[Authorization, ...]


class Reader:
    """Takes fields off the front of a buffer. BadAnswer when it is too short."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self, size: int) -> bytes:
        if len(self._data) < size:
            raise BadAnswer("shorter than it says")
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def sized(self) -> bytes:
        """A TPM2B: u16 size and so many bytes."""
        return self.take(self.number(2))

    def rest(self) -> bytes:
        return self.take(len(self._data))

    def end(self) -> None:
        if self._data:
            raise BadAnswer("longer than it says")


def u16(value: int) -> bytes:
    return struct.pack(">H", value)


def u32(value: int) -> bytes:
    return struct.pack(">I", value)


def sized(data: bytes) -> bytes:
    """A TPM2B."""
    return u16(len(data)) + data


def command(
    code: int, handles: Sequence[int], authorizations: Sequence[Authorization], parameters: bytes
) -> bytes:
    """A whole command frame."""
    body = b"".join(map(u32, handles))
    if authorizations:
        area = b"".join(
            u32(one.handle) + sized(one.nonce) + bytes([one.attributes]) + sized(one.hmac)
            for one in authorizations
        )
        body += u32(len(area)) + area
    body += parameters
    tag = SESSIONS if authorizations else NO_SESSIONS
    return u16(tag) + u32(HEADER + len(body)) + u32(code) + body


def length(header: bytes) -> int:
    """Of the whole response, from its first ten bytes. BadAnswer when that cannot be."""
    size = int.from_bytes(header[2:6], "big")
    if len(header) < HEADER or not HEADER <= size <= LARGEST:
        raise BadAnswer("no response header")
    return size


def response(data: bytes, code: int, handles: int, sessions: int) -> Response:
    """The answer to command `code` with `handles` handles back. TpmError when the TPM refused; BadAnswer."""
    if length(data[:HEADER]) != len(data):
        raise BadAnswer("another length than it says")
    reader = Reader(data)
    tag, _, answer = reader.number(2), reader.number(4), reader.number(4)
    if answer != OK:
        raise TpmError(meaning(answer), code)
    if tag != (SESSIONS if sessions else NO_SESSIONS):
        raise BadAnswer("a response of another kind")
    given = reader.take(4 * handles)
    if not sessions:
        return Response(given, reader.rest(), ())
    parameters = reader.take(reader.number(4))
    told = []
    for _ in range(sessions):
        nonce, attributes = reader.sized(), reader.number(1)
        told.append(Authorization(nonce, attributes, reader.sized()))
    reader.end()
    return Response(given, parameters, tuple(told))


def meaning(answer: int) -> int:
    """The bare response code: format one (bit 7) carries the number of what it complains of in other bits."""
    return answer & 0x0BF if answer & 0x080 else answer
