"""Topaz packets: any portions, noise, lost bytes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.drivers.signpad.topaz.frames import Decoder, Pen

places = st.tuples(st.integers(0, 4095), st.integers(0, 4095)).filter(lambda p: p != (0xFFF, 0xFFF))


def packet(x: int, y: int, down: bool = True, near: bool = True, kind: int = 0) -> bytes:
    return bytes([0x80 | near << 6 | kind << 2 | down, x & 0x7F, x >> 7, y & 0x7F, y >> 7])


@given(places, st.booleans(), st.booleans(), st.sampled_from([0, 1, 4]))
def test_a_position_reads_back(place: tuple[int, int], down: bool, near: bool, kind: int) -> None:
    assert Decoder().feed(packet(*place, down, near, kind)) == [Pen(*place, down, near)]


@given(st.lists(places, max_size=8), st.lists(st.integers(0, 40), max_size=8))
def test_any_cut_of_the_stream_gives_the_same_positions(
    points: list[tuple[int, int]], cuts: list[int]
) -> None:
    stream = b"".join(packet(x, y) for x, y in points)
    edges = sorted({0, len(stream), *(c for c in cuts if c < len(stream))})
    decoder = Decoder()
    pens = [pen for a, b in pairwise(edges) for pen in decoder.feed(stream[a:b])]
    assert [(pen.x, pen.y) for pen in pens] == points


@given(st.binary(max_size=200))
def test_noise_never_raises(noise: bytes) -> None:
    for pen in Decoder().feed(noise):
        assert 0 <= pen.x <= 0xFFF
        assert 0 <= pen.y <= 0xFFF


@given(st.lists(places, min_size=3, max_size=10), st.data())
def test_a_lost_byte_costs_at_most_two_positions_and_makes_none_up(points: list, data: st.DataObject) -> None:
    stream = bytearray(b"".join(packet(x, y) for x, y in points))
    del stream[data.draw(st.integers(0, len(stream) - 1))]
    found = [(pen.x, pen.y) for pen in Decoder().feed(bytes(stream))]
    assert len(found) >= len(points) - 2
    remaining = iter(points)
    assert all(point in remaining for point in found)  # in order, each a real one


@pytest.mark.parametrize("kind", [2, 3, 5, 6, 7])
def test_what_is_no_position_is_not_taken_for_one(kind: int) -> None:
    assert Decoder().feed(packet(300, 0, kind=kind)) == []


def test_a_lost_pen_is_nowhere() -> None:
    assert Decoder().feed(packet(0xFFF, 0xFFF)) == []


def test_the_published_example_of_bits() -> None:
    # x = ((b2 & 1F) << 7) | (b1 & 7F); reserved bits of b2 and b4 are ignored
    assert Decoder().feed(bytes([0xC1, 0x05, 0x64, 0x7F, 0x6A])) == [Pen(0x205, 0x57F, True, True)]
