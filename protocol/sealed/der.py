"""As much of DER (X.690) as `cms` needs: definite lengths, one-byte tags, whole values in memory."""

from collections.abc import Iterable, Iterator

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
UTF8_STRING = 0x0C
SEQUENCE = 0x30
SET = 0x31


class BadDer(ValueError):
    """Not the value expected here."""


def write(tag: int, *contents: bytes | memoryview) -> bytes:
    """One value: tag, length, and the contents one after the other."""
    size = sum(map(len, contents))
    length = bytes([size]) if size < 0x80 else _long(size)
    return b"".join([bytes([tag]), length, *contents])


def write_set(tag: int, members: Iterable[bytes]) -> bytes:
    """SET OF, whose members DER sorts by their encoding."""
    return write(tag, *sorted(members))


def context(number: int, *, constructed: bool = True) -> int:
    """The tag `[number]`."""
    return (0xA0 if constructed else 0x80) | number


class Reader:
    """The values inside `data`, one after the other."""

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def take(self, tag: int) -> memoryview:
        """The contents of the next value. BadDer when it has another tag, or is cut off."""
        head = bytes(self._data[:6])
        if len(head) < 2 or head[0] != tag:
            raise BadDer(f"no value with tag {tag:#04x}")
        size, start = head[1], 2
        if size >= 0x80:
            start += size & 0x7F
            if not 3 <= start <= len(head):
                raise BadDer("a length of another form")
            size = int.from_bytes(head[2:start])
        if start + size > len(self._data):
            raise BadDer("a value that is cut off")
        taken = self._data[start : start + size]
        self._data = self._data[start + size :]
        return taken

    def inside(self, tag: int) -> "Reader":
        """A reader of the next value's contents."""
        return Reader(self.take(tag))

    def every(self, tag: int) -> Iterator["Reader"]:
        """Readers of all values left."""
        while self._data:
            yield self.inside(tag)


def _long(size: int) -> bytes:
    digits = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([0x80 | len(digits)]) + digits
