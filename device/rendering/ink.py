"""A signature as a picture: smooth SVG, and PNG for what cannot read SVG. Pure; the same ink gives the same
bytes.
"""

import io
import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from device.ports import SignatureInk

MARGIN = 0.04  # of the larger side, around the ink
PEN = 0.010  # width of the pen, of the larger side
PNG_WIDTH = 900
FINER = 3  # drawn so many times larger and then reduced: smooth edges
STROKE_STEP = 5.0  # length in pixels of the straight pieces a curve is drawn with
NEEDED = 1.2  # pad units (0.07 mm): a sample that near the line between its neighbours says nothing

Point = tuple[float, float]


def to_svg(ink: SignatureInk) -> str:
    """Strokes as smooth curves, cropped to the ink, black on nothing. ValueError when there is no ink."""
    left, top, width, height, pen = _frame(ink)
    paths = []
    for stroke in ink.strokes:
        points = [(x - left, y - top) for x, y in _needed(stroke.points)]
        if len(points) == 1:
            x, y = points[0]
            paths.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{pen / 2:.1f}" fill="#000" stroke="none"/>')
            continue
        pieces = [f"M{points[0][0]:.0f} {points[0][1]:.0f}"]
        for one, two, end in _bezier(points):
            pieces.append(f"C{one[0]:.1f} {one[1]:.1f} {two[0]:.1f} {two[1]:.1f} {end[0]:.0f} {end[1]:.0f}")
        paths.append(f'<path d="{"".join(pieces)}"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}">'
        f'<g fill="none" stroke="#000" stroke-width="{pen:.1f}" '
        f'stroke-linecap="round" stroke-linejoin="round">{"".join(paths)}</g></svg>\n'
    )


def so_far(ink: SignatureInk) -> str:
    """SVG of the whole pad while it is being written on: nothing moves when a stroke is added."""
    pen = max(1.0, ink.width * PEN / 3)
    paths = "".join(f'<path d="{_straight(stroke.points)}"/>' for stroke in ink.strokes if stroke.points)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {ink.width:d} {ink.height:d}">'
        f'<g fill="none" stroke="#000" stroke-width="{pen:.1f}" stroke-linecap="round" '
        f'stroke-linejoin="round">{paths}</g></svg>'
    )


def to_png(ink: SignatureInk) -> bytes:
    """The same as grey PNG, at most 900 pixels wide and high, black on white. ValueError when there is no
    ink.
    """
    left, top, width, height, pen = _frame(ink)
    scale = PNG_WIDTH * FINER / max(width, height)
    picture = Image.new("L", (max(1, round(width * scale)), max(1, round(height * scale))), 255)
    draw = ImageDraw.Draw(picture)
    thick = max(1, round(pen * scale))
    for stroke in ink.strokes:
        points = [((x - left) * scale, (y - top) * scale) for x, y in _needed(stroke.points)]
        line = _polyline(points)
        draw.line(line, fill=0, width=thick)
        for x, y in line:  # round ends and joints
            draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=0)
    smaller = (max(1, picture.width // FINER), max(1, picture.height // FINER))
    out = io.BytesIO()
    picture.resize(smaller, Image.Resampling.BOX).save(out, "PNG", optimize=True)
    return out.getvalue()


def _frame(ink: SignatureInk) -> tuple[float, float, float, float, float]:
    """left, top, width, height of the picture in pad units, and the width of the pen."""
    points = [point for stroke in ink.strokes for point in stroke.points]
    if not points:
        raise ValueError("no ink")
    xs, ys = [x for x, _ in points], [y for _, y in points]
    side = max(max(xs) - min(xs), max(ys) - min(ys), 1)
    margin = MARGIN * side
    return (
        min(xs) - margin,
        min(ys) - margin,
        max(xs) - min(xs) + 2 * margin,
        max(ys) - min(ys) + 2 * margin,
        PEN * side,
    )


def _straight(points: Sequence[tuple[int, int]]) -> str:
    first, *rest = points
    rest = rest or [first]  # a dot: a line to itself, round at its ends
    return f"M{first[0]:d} {first[1]:d}" + "".join(f"L{x:d} {y:d}" for x, y in rest)


def _needed(points: Sequence[tuple[int, int]]) -> list[Point]:
    """The samples without which the line would change by more than NEEDED (Douglas and Peucker 1973)."""
    keep = {0, len(points) - 1}
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        far, where = NEEDED, -1
        for number in range(first + 1, last):
            distance = _off_line(points[number], points[first], points[last])
            if distance > far:
                far, where = distance, number
        if where >= 0:
            keep.add(where)
            spans += [(first, where), (where, last)]
    return [(float(points[number][0]), float(points[number][1])) for number in sorted(keep)]


def _off_line(point: Point, start: Point, end: Point) -> float:
    length = math.dist(start, end)
    if length == 0:
        return math.dist(point, start)
    across = (end[0] - start[0]) * (start[1] - point[1]) - (start[0] - point[0]) * (end[1] - start[1])
    return abs(across) / length


def _bezier(points: list[Point]) -> list[tuple[Point, Point, Point]]:
    """Cubic pieces of a Catmull-Rom curve through all points: two control points and the end of each."""
    pieces = []
    for number in range(len(points) - 1):
        before = points[max(0, number - 1)]
        here, there = points[number], points[number + 1]
        after = points[min(len(points) - 1, number + 2)]
        one = (here[0] + (there[0] - before[0]) / 6, here[1] + (there[1] - before[1]) / 6)
        two = (there[0] - (after[0] - here[0]) / 6, there[1] - (after[1] - here[1]) / 6)
        pieces.append((one, two, there))
    return pieces


def _polyline(points: list[Point]) -> list[Point]:
    """The same curve as short straight pieces."""
    line = [points[0]]
    start = points[0]
    for one, two, end in _bezier(points):
        steps = max(1, math.ceil(math.dist(start, end) / STROKE_STEP))
        for step in range(1, steps + 1):
            t = step / steps
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            corners = (start, one, two, end)
            x = sum(weight * corner[0] for weight, corner in zip(weights, corners, strict=True))
            y = sum(weight * corner[1] for weight, corner in zip(weights, corners, strict=True))
            line.append((x, y))
        start = end
    return line
