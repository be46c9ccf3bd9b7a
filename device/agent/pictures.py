"""Fingers and signatures as files: PNG and SVG, made in memory and never as a temporary file."""

import io

from PIL import Image, ImageDraw

from device.agent.records import KeptFinger, KeptSignature
from device.errors import Code, KitError, Remedy
from device.ports import FingerImage, SignatureInk

PPI = 500
_PEN = 3.0  # width of the pen in the SVG, in thousandths of the pad's width
_PNG_WIDTH = 1200  # pixels


def finger(image: FingerImage) -> KeptFinger:
    """The capture as an 8-bit grey PNG that carries its resolution; KitError when it is not 500 ppi."""
    if image.ppi != PPI or len(image.pixels) != image.width * image.height or not image.pixels:
        raise KitError(Code.PERIPHERAL_PROTOCOL, Remedy.WORKSHOP, "not a 500 ppi picture of the size it says")
    out = io.BytesIO()
    picture = Image.frombytes("L", (image.width, image.height), image.pixels)
    picture.save(out, "PNG", dpi=(PPI, PPI), optimize=True)
    return KeptFinger(
        out.getvalue(), image.width, image.height, image.ppi, image.measures, image.hints, image.device
    )


def signature(ink: SignatureInk) -> KeptSignature:
    """The strokes as SVG in pad units, and drawn as PNG. KitError empty-signature when there are none."""
    points = sum(len(stroke.points) for stroke in ink.strokes)
    if not points or ink.width <= 0 or ink.height <= 0:
        raise KitError(Code.EMPTY_SIGNATURE, Remedy.RETRY)
    return KeptSignature(svg(ink).encode(), _png(ink), len(ink.strokes), points, ink.device)


def svg(ink: SignatureInk) -> str:
    """Nothing but numbers of our own making goes into this text."""
    pen = max(1.0, ink.width * _PEN / 1000)
    paths = "".join(f'<path d="{_path(stroke.points)}"/>' for stroke in ink.strokes if stroke.points)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {ink.width:d} {ink.height:d}">'
        f'<g fill="none" stroke="#000" stroke-width="{pen:.1f}" stroke-linecap="round"'
        ' stroke-linejoin="round">'
        f"{paths}</g></svg>"
    )


def _path(points: tuple[tuple[int, int], ...]) -> str:
    first, *rest = points
    if not rest:
        rest = [first]  # a dot: a line to itself, round at its ends
    return f"M{first[0]:d} {first[1]:d}" + "".join(f"L{x:d} {y:d}" for x, y in rest)


def _png(ink: SignatureInk) -> bytes:
    scale = _PNG_WIDTH / ink.width
    pen = max(2, round(_PEN * _PNG_WIDTH / 1000))
    picture = Image.new("L", (_PNG_WIDTH, max(1, round(ink.height * scale))), 255)
    draw = ImageDraw.Draw(picture)
    for stroke in ink.strokes:
        points = [(x * scale, y * scale) for x, y in stroke.points]
        if len(points) > 1:
            draw.line(points, fill=0, width=pen, joint="curve")
        for x, y in points[:1]:
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=0)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()
