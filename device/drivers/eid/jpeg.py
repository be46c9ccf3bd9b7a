"""Width and height from a JPEG's own frame header (ITU-T T.81, B.2); the picture is not decoded here."""

SOI = b"\xff\xd8"
FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive: what screens can show
BARE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
SOS, EOI = 0xDA, 0xD9
SIDE_AT_MOST = 2000  # a card photo is 140x200 or 150x195


class BadJpeg(ValueError):
    """Not a JPEG a card would hold."""


def size(data: bytes) -> tuple[int, int]:
    """(width, height) in pixels. BadJpeg when there is no frame header before the first scan."""
    if data[:2] != SOI:
        raise BadJpeg("no start of image")
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise BadJpeg("no marker where one must be")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in BARE:
            at += 2
            continue
        if marker in (SOS, EOI):
            break
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2 or at + 2 + length > len(data):
            raise BadJpeg("segment ends after the file")
        if marker in FRAMES and length >= 8:
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            width = int.from_bytes(data[at + 7 : at + 9], "big")
            if not (0 < width <= SIDE_AT_MOST and 0 < height <= SIDE_AT_MOST):
                raise BadJpeg("no sensible size")
            return width, height
        at += 2 + length
    raise BadJpeg("no frame header")
