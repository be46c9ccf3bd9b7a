"""A JPEG from a camera: bounded before it is decoded, then preview, crop and the EXAMPLE mark. Pure.

Sizes are read from the JPEG's own frame header before any decoder sees it (ITU-T T.81, B.2.2), so that a
small file cannot ask for much memory. What comes out holds no metadata: a camera may write place and serial
number into EXIF.
"""

import io

from PIL import Image, ImageDraw, ImageFont, ImageOps

LARGEST_FILE = 16 * 1024 * 1024
LARGEST_SIDE = 8192
MOST_PIXELS = 40_000_000
LEAST_SIDE = 64

PREVIEW_HEIGHT = 640
CROP_RATIO = 35 / 45  # passport photo in mm
LEAST_CROP = (413, 531)  # 35x45 mm at 300 ppi
LARGEST_CROP = (827, 1063)  # 35x45 mm at 600 ppi: more is not asked for anywhere and costs upload time
QUALITY_STILL, QUALITY_PREVIEW = 95, 80

MARK = "VOORBEELDBEELD · EXAMPLE"

_FRAME_HEADERS = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive; lossless and arithmetic are refused
_NO_LENGTH = {0x01, *range(0xD0, 0xD8)}


class BadFrame(ValueError):
    """Not a JPEG we are willing to decode; the text says why."""


def size_of(jpeg: bytes) -> tuple[int, int]:
    """(width, height) from the frame header. BadFrame for what is not a plain JPEG of bounded size."""
    if len(jpeg) > LARGEST_FILE:
        raise BadFrame(f"{len(jpeg)} bytes")
    if jpeg[:2] != b"\xff\xd8":
        raise BadFrame("no JPEG")
    position = 2
    while position + 9 <= len(jpeg):
        if jpeg[position] != 0xFF:
            raise BadFrame(f"no marker at {position}")
        marker = jpeg[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker in _NO_LENGTH:
            position += 2
        elif marker in _FRAME_HEADERS:
            height = int.from_bytes(jpeg[position + 5 : position + 7], "big")
            width = int.from_bytes(jpeg[position + 7 : position + 9], "big")
            if min(width, height) < LEAST_SIDE or max(width, height) > LARGEST_SIDE:
                raise BadFrame(f"{width}x{height}")
            if width * height > MOST_PIXELS:
                raise BadFrame(f"{width}x{height}")
            return width, height
        elif marker in (0xD9, 0xDA):
            break
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            raise BadFrame(f"JPEG process {marker:#04x}")
        else:
            position += 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
    raise BadFrame("no frame header")


def decode(jpeg: bytes, turn: int = 0, least_side: int = 0) -> Image.Image:
    """The picture, upright, RGB: EXIF orientation applied, then turned `turn` degrees against the clock.

    With `least_side` the decoder may leave pixels out as long as both sides keep that many. BadFrame.
    """
    size_of(jpeg)
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as opened:
            if least_side:
                opened.draft("RGB", (least_side, least_side))
            upright = ImageOps.exif_transpose(opened).convert("RGB")
            return upright.rotate(turn, expand=True) if turn else upright
    except (OSError, ValueError, SyntaxError) as error:  # Pillow's decoders raise all three on damaged data
        raise BadFrame(f"damaged: {type(error).__name__}") from error


def crop_35x45(picture: Image.Image) -> Image.Image:
    """The largest 35:45 part around the middle, reduced to at most 600 ppi.

    Where the head is, is not looked for: the rules for face and head come with a later issue.
    """
    width, height = picture.size
    wide = min(width, round(height * CROP_RATIO))
    tall = min(height, round(width / CROP_RATIO))
    left, top = (width - wide) // 2, (height - tall) // 2
    part = picture.crop((left, top, left + wide, top + tall))
    if part.width > LARGEST_CROP[0]:
        return part.resize(LARGEST_CROP, Image.Resampling.LANCZOS)
    return part


def preview(jpeg: bytes, *, example: bool, turn: int = 0) -> bytes:
    """At most 640 pixels high, for the screen; marked when it is an example. BadFrame."""
    picture = decode(jpeg, turn, least_side=PREVIEW_HEIGHT)
    if picture.height > PREVIEW_HEIGHT:
        width = max(1, round(picture.width * PREVIEW_HEIGHT / picture.height))
        picture = picture.resize((width, PREVIEW_HEIGHT), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return encode(marked(picture) if example else picture, QUALITY_PREVIEW)


def encode(picture: Image.Image, quality: int = QUALITY_STILL) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def marked(picture: Image.Image) -> Image.Image:
    """A copy with EXAMPLE written across it, so that nobody can take it for a citizen's photo."""
    copy = picture.copy()
    draw = ImageDraw.Draw(copy, "RGBA")
    size = max(10, round(picture.width / 18))
    font = ImageFont.load_default(size)
    for share in (0.02, 0.93):
        left, top, right, bottom = draw.textbbox((0, 0), MARK, font=font)
        x, y = (picture.width - (right - left)) / 2, picture.height * share
        draw.rectangle(
            (0, y - size / 3, picture.width, y + (bottom - top) + size / 2), fill=(255, 255, 255, 150)
        )
        draw.text((x - left, y - top), MARK, font=font, fill=(190, 0, 0, 255))
    return copy
