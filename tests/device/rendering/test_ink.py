"""A signature as a picture."""

import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from device.ports import SignatureInk, Stroke
from device.rendering.ink import so_far, to_png, to_svg

points = st.lists(st.tuples(st.integers(0, 2150), st.integers(0, 1400)), min_size=1, max_size=25)


def ink(*strokes: list[tuple[int, int]]) -> SignatureInk:
    return SignatureInk(tuple(Stroke(tuple(stroke)) for stroke in strokes), 2150, 1400)


LOOP = [(300, 300), (500, 200), (700, 300), (600, 500), (400, 480), (300, 300)]


def test_the_picture_is_cropped_to_the_ink() -> None:
    root = ET.fromstring(to_svg(ink(LOOP)))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert width == pytest.approx(400 * 1.08, abs=1)
    assert height == pytest.approx(300 + 400 * 0.08, abs=1)


def test_png_is_grey_black_on_white_and_not_larger_than_asked() -> None:
    picture = Image.open(io.BytesIO(to_png(ink(LOOP, [(350, 350)]))))
    pixels = np.asarray(picture)
    assert picture.mode == "L"
    assert max(picture.size) == 900
    assert pixels[0, 0] == 255
    assert pixels.min() == 0
    assert 0.005 < (pixels < 128).mean() < 0.2


def test_no_ink_is_no_picture() -> None:
    for strokes in ((), ([],)):
        with pytest.raises(ValueError, match="no ink"):
            to_svg(ink(*strokes))
        with pytest.raises(ValueError, match="no ink"):
            to_png(ink(*strokes))


@settings(max_examples=10)
@given(st.lists(points, min_size=1, max_size=4))
def test_any_ink_gives_well_formed_svg_and_a_png_twice_the_same(strokes: list[list[tuple[int, int]]]) -> None:
    root = ET.fromstring(to_svg(ink(*strokes)))
    assert len(list(root[0])) == len(strokes)
    assert to_png(ink(*strokes)) == to_png(ink(*strokes))


def test_a_straight_line_of_many_samples_keeps_its_ends_only() -> None:
    svg = to_svg(ink([(n, 100) for n in range(0, 1000, 3)]))
    assert svg.count("C") == 1


def test_ink_on_its_way_keeps_its_place_on_the_pad() -> None:
    early, later = (ET.fromstring(so_far(ink(*strokes))) for strokes in ([LOOP], [LOOP, [(350, 350)]]))
    assert early.get("viewBox") == later.get("viewBox")
    paths = [[path.get("d") for path in root.iter() if path.get("d")] for root in (early, later)]
    assert paths[1][: len(paths[0])] == paths[0]
    assert len(paths[1]) == 2
