"""Strokes gathered from pen positions, and when what was written is a signature. Pure.

A dot, a tap and a slip of the pen are not signatures: the ink must be some centimetres long and cover some
millimetres each way. There is no judgement of likeness here, and there must be none: a cross is a lawful
signature if it is large enough to be seen.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

from device.ports import SignatureInk, Stroke

LARGEST_STEP = (
    400  # pad units between two samples 3 ms apart (25 mm): further is a damaged packet, not a hand
)
MOST_POINTS = 60_000  # three minutes of pen at the line's 349 packets a second; then the rest is ignored


@dataclass(frozen=True)
class Area:
    """The part of the pad where ink counts, in pad units."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


@dataclass(frozen=True)
class Least:
    """The least that is a signature, in pad units: length of all ink, and its larger side."""

    length: float
    extent: float


class Gathering:
    """Ink as it is written. Positions outside the area end the stroke: the pen has left the paper."""

    def __init__(self, area: Area, device: str) -> None:
        self._area = area
        self._device = device
        self._strokes: list[list[tuple[int, int]]] = []
        self._down = False
        self._points = 0

    @property
    def down(self) -> bool:
        """The pen touches, as far as the last position said."""
        return self._down

    def add(self, x: int, y: int, down: bool) -> bool:
        """One position in pad units; True when ink was added."""
        inside = self._area.left <= x <= self._area.right and self._area.top <= y <= self._area.bottom
        writing = down and inside and self._points < MOST_POINTS
        point = (x - self._area.left, y - self._area.top)
        if writing and self._down:
            stroke = self._strokes[-1]
            if math.dist(stroke[-1], point) > LARGEST_STEP:
                return False
            if stroke[-1] == point:
                return False
            stroke.append(point)
        elif writing:
            self._strokes.append([point])
        self._down = writing
        self._points += writing
        return writing

    def lift(self) -> None:
        """Nothing came for a while: the pen is away, whatever the last packet said."""
        self._down = False

    def ink(self) -> SignatureInk:
        strokes = tuple(Stroke(tuple(points)) for points in self._strokes)
        return SignatureInk(strokes, self._area.width, self._area.height, self._device)


def is_signature(ink: SignatureInk, least: Least) -> bool:
    """Long and large enough to be a signature."""
    points = [point for stroke in ink.strokes for point in stroke.points]
    if not points:
        return False
    length = sum(math.dist(a, b) for stroke in ink.strokes for a, b in pairwise(stroke.points))
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return length >= least.length and max(max(xs) - min(xs), max(ys) - min(ys)) >= least.extent
