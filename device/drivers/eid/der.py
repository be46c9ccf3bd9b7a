"""How long a DER element is: files on the card carry zero bytes behind certificates and signatures."""

SEQUENCE = 0x30
HEADER_AT_MOST = 4  # tag, 82, two bytes of length: everything on the card is shorter than 64 kB


class BadDer(ValueError):
    """No SEQUENCE of definite length that fits, or something else than zeros behind it."""


def total_length(head: bytes) -> int | None:
    """Bytes of the SEQUENCE that begins `head`, header included; None while `head` is too short to tell."""
    if not head:
        return None
    if head[0] != SEQUENCE:
        raise BadDer("does not begin with a SEQUENCE")
    if len(head) < 2:
        return None
    first = head[1]
    if first < 0x80:
        return 2 + first
    count = first & 0x7F
    if not 1 <= count <= HEADER_AT_MOST - 2:
        raise BadDer(f"length form {first:02X}")
    if len(head) < 2 + count:
        return None
    return 2 + count + int.from_bytes(head[2 : 2 + count], "big")


def cut(data: bytes) -> bytes:
    """The SEQUENCE at the start of `data` without the zero padding. BadDer when cut short or more follows."""
    length = total_length(data)
    if length is None or length > len(data):
        raise BadDer("cut short")
    if any(data[length:]):
        raise BadDer("bytes behind the end")
    return data[:length]
