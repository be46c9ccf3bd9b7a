"""CBOR as authenticators write it (CTAP2 canonical form, a subset of RFC 8949), read strictly. Pure.

Integers, byte and text strings, lists and maps of definite length; nothing after the value.
"""

DEEPEST = 6
_LONGER = {24: 1, 25: 2, 26: 4, 27: 8}


class NotCbor(ValueError):
    """The bytes are no such value."""


def loads(data: bytes) -> object:
    """The one value that `data` holds."""
    value, at = _read(data, 0, DEEPEST)
    if at != len(data):
        raise NotCbor("something follows")
    return value


def _read(data: bytes, at: int, depth: int) -> tuple[object, int]:
    if depth == 0:
        raise NotCbor("too deep")
    kind, number, at = _head(data, at)
    if kind == 0:
        return number, at
    if kind == 1:
        return -1 - number, at
    if kind in (2, 3):
        text = data[at : at + number]
        if len(text) != number:
            raise NotCbor("cut off")
        return (text if kind == 2 else text.decode()), at + number
    if kind == 4:
        found = []
        for _ in range(_bounded(number, data)):
            value, at = _read(data, at, depth - 1)
            found.append(value)
        return found, at
    if kind == 5:
        members: dict[object, object] = {}
        for _ in range(_bounded(number, data)):
            name, at = _read(data, at, depth - 1)
            if not isinstance(name, int | str) or name in members:
                raise NotCbor("a member twice, or of a strange name")
            members[name], at = _read(data, at, depth - 1)
        return members, at
    raise NotCbor("a kind that authenticators do not write")


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """Kind, number, and where what follows begins."""
    if at >= len(data):
        raise NotCbor("cut off")
    kind, info = data[at] >> 5, data[at] & 31
    at += 1
    if info < 24:
        return kind, info, at
    size = _LONGER.get(info)
    if size is None or at + size > len(data):
        raise NotCbor("of indefinite length, or cut off")
    return kind, int.from_bytes(data[at : at + size]), at + size


def _bounded(count: int, data: bytes) -> int:
    if count > len(data):
        raise NotCbor("more members than bytes")
    return count
