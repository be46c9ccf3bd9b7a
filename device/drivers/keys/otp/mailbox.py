"""Property messages of the Raspberry Pi's firmware: one tag a message. Pure.

A message is little-endian words: its size in bytes, 0 for a request; the tag, the size of its value buffer
in bytes, 0; the value buffer; 0 as end tag. The answer has the same shape, with bit 31 set in the second word
and in the tag's third, whose other bits are the length of the value (Raspberry Pi firmware documentation,
"Mailbox property interface"). Device private key: tag 0x00030081; in its value buffer the first row, the
number of rows, and the rows: eight of 32 bits (Raspberry Pi documentation, "OTP register and bit
definitions").
"""

import struct
from collections.abc import Sequence

GET_PRIVATE_KEY = 0x00030081
ROWS = 8
_DONE = 0x80000000


class BadMessage(ValueError):
    """No answer of the firmware to what was asked, or one that it cannot give."""


def request(tag: int, value: Sequence[int]) -> bytes:
    words = (4 * (len(value) + 6), 0, tag, 4 * len(value), 0, *value, 0)
    return struct.pack(f"<{len(words)}I", *words)


def answer(message: bytes, tag: int, length: int) -> tuple[int, ...]:
    """The value, of exactly `length` words, of the answer to `tag`."""
    if len(message) != 4 * (length + 6):
        raise BadMessage("an answer of another size")
    size, done, told, room, filled, *rest = struct.unpack(f"<{length + 6}I", message)
    if (size, told, room, rest[-1]) != (len(message), tag, 4 * length, 0):
        raise BadMessage("not an answer to what was asked")
    if done != _DONE or filled != _DONE | 4 * length:
        raise BadMessage("this board's firmware does not know the device key")
    return tuple(rest[:-1])


def ask_private_key() -> bytes:
    return request(GET_PRIVATE_KEY, (0, ROWS, *(0,) * ROWS))


def private_key(message: bytes) -> bytes:
    """The 32 bytes of the key, row after row. BadMessage when none was ever written."""
    first, rows, *key = answer(message, GET_PRIVATE_KEY, ROWS + 2)
    if (first, rows) != (0, ROWS):
        raise BadMessage("other rows than were asked for")
    if not any(key):
        raise BadMessage("no device key was written; `rpi-otp-private-key -w` does, for ever")
    return struct.pack(f"<{ROWS}I", *key)
