"""Tag-length-value as in the identity and address files (Belgian eID card content v5.4, 6.1).

One byte tag, one byte length; a length of 255 and more is written as FF bytes that count 255 each and a last
byte below FF. Single length bytes of 128 to 254 are refused: no field is that long, and another
reading of the standard (7 bits a byte) would see another length there. Behind the last field there
may only be zero bytes.
"""

LONG = 0xFF
FIRST_REFUSED = 0x80


class BadTlv(ValueError):
    """The bytes are not a well-formed list of fields; the text says where, never what."""


def parse(data: bytes) -> dict[int, bytes]:
    """Tag -> value, unknown tags kept. BadTlv for a cut value, a doubled tag or an ambiguous length."""
    fields: dict[int, bytes] = {}
    at = 0
    while at < len(data) and any(data[at:]):  # tag 00 may open the file: only zeros up to the end are padding
        tag = data[at]
        length, at = _length(data, at + 1)
        if at + length > len(data):
            raise BadTlv(f"field {tag:02X} ends after the file")
        if tag in fields:
            raise BadTlv(f"field {tag:02X} twice")
        fields[tag] = data[at : at + length]
        at += length
    return fields


def _length(data: bytes, at: int) -> tuple[int, int]:
    """The length written at `at`, and where the value begins."""
    length = 0
    while at < len(data) and data[at] == LONG:
        length += LONG
        at += 1
    if at >= len(data):
        raise BadTlv("the file ends within a length")
    if not length and data[at] >= FIRST_REFUSED:
        raise BadTlv(f"length byte {data[at]:02X}")
    return length + data[at], at + 1
