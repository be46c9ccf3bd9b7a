"""The photo of a made card: a drawn face nobody has, grey, as a JPEG of a wanted length."""

from io import BytesIO

from PIL import Image, ImageDraw

QUALITY = 60
COMMENT_AT_MOST = 65_533  # of a JPEG comment segment


def drawn(width: int, height: int, length: int) -> bytes:
    """A JPEG of `width` by `height` px, filled up with a comment to `length` bytes where that is longer."""
    picture = Image.new("L", (width, height), 215)
    pen = ImageDraw.Draw(picture)

    def oval(x: float, y: float, half_width: float, half_height: float, grey: int) -> None:
        left, right = (x - half_width) * width, (x + half_width) * width
        pen.ellipse((left, (y - half_height) * height, right, (y + half_height) * height), fill=grey)

    oval(0.5, 1.05, 0.48, 0.28, 90)  # shoulders
    oval(0.5, 0.40, 0.30, 0.30, 60)  # hair
    oval(0.5, 0.45, 0.25, 0.28, 175)  # face
    for side in (0.39, 0.61):
        oval(side, 0.41, 0.04, 0.02, 40)
    oval(0.5, 0.60, 0.09, 0.015, 80)
    out = BytesIO()
    picture.save(out, "JPEG", quality=QUALITY)
    return _filled(out.getvalue(), length)


def _filled(jpeg: bytes, length: int) -> bytes:
    room = length - len(jpeg) - 4
    if not 0 <= room <= COMMENT_AT_MOST:
        return jpeg
    return jpeg[:2] + b"\xff\xfe" + (room + 2).to_bytes(2, "big") + bytes(room) + jpeg[2:]
