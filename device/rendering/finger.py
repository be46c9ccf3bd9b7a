"""A finger image as PNG: 8-bit grey, its resolution written inside. Pure."""

import io

from PIL import Image

from device.ports import FingerImage


def to_png(image: FingerImage) -> bytes:
    """PNG with a pHYs chunk that says `image.ppi`; the same pixels give the same bytes."""
    out = io.BytesIO()
    picture = Image.frombytes("L", (image.width, image.height), image.pixels)
    picture.save(out, "PNG", dpi=(image.ppi, image.ppi), optimize=True)
    return out.getvalue()
