"""Pictures for camera tests: a drawn scene with edges, so that sharpness means something."""

import io

import numpy as np
from PIL import Image, ImageDraw


def scene(width: int = 900, height: int = 1200, shade: int = 0, shift: int = 0) -> Image.Image:
    """Somebody-like shapes on a light ground; `shift` pixels to the right."""
    picture = Image.new("RGB", (width, height), (200, 200, 205))
    draw = ImageDraw.Draw(picture)
    x, y = width // 2 + shift, height // 2
    draw.ellipse((x - width // 4, y - height // 4, x + width // 4, y + height // 4), fill=(190, 150, 130))
    for n in range(0, height, 20):
        draw.line((0, n, width // 8, n), fill=(60, 60, 90), width=6)
    draw.ellipse((x - 60, y - 60, x - 20, y - 40), fill=(20, 20, 20))
    draw.ellipse((x + 20, y - 60, x + 60, y - 40), fill=(20, 20, 20))
    if shade:
        picture = Image.fromarray(np.clip(np.asarray(picture, np.int16) + shade, 0, 255).astype(np.uint8))
    return picture


def jpeg(picture: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", **{"quality": 92, **options})
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))
