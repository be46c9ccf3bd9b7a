"""What is gathered as ink, and what is enough to be a signature."""

import pytest

from device.drivers.signpad.gathering import MOST_POINTS, Area, Gathering, Least, is_signature

AREA = Area(500, 700, 2650, 2100)
LEAST = Least(length=240, extent=96)


def gathered(*pens: tuple[int, int, bool]) -> Gathering:
    gathering = Gathering(AREA, "pad")
    for pen in pens:
        gathering.add(*pen)
    return gathering


def strokes(gathering: Gathering) -> list[list[tuple[int, int]]]:
    return [list(stroke.points) for stroke in gathering.ink().strokes]


def test_positions_become_strokes_with_the_origin_top_left() -> None:
    pens = [(500, 700, True), (510, 705, True), (510, 705, False), (600, 800, True), (610, 800, True)]
    assert strokes(gathered(*pens)) == [[(0, 0), (10, 5)], [(100, 100), (110, 100)]]


def test_the_same_place_twice_is_one_point() -> None:
    assert strokes(gathered((600, 800, True), (600, 800, True))) == [[(100, 100)]]


def test_a_pen_that_leaves_the_area_begins_a_new_stroke() -> None:
    pens = [(510, 800, True), (505, 800, True), (490, 800, True), (505, 810, True)]
    assert strokes(gathered(*pens)) == [[(10, 100), (5, 100)], [(5, 110)]]


def test_a_jump_no_hand_makes_is_a_damaged_packet() -> None:
    assert strokes(gathered((600, 800, True), (2000, 2000, True), (610, 800, True))) == [
        [(100, 100), (110, 100)]
    ]


def test_a_hovering_pen_writes_nothing() -> None:
    assert gathered((600, 800, False), (700, 900, False)).ink().strokes == ()


def test_a_lifted_pen_begins_a_new_stroke() -> None:
    gathering = gathered((600, 800, True))
    assert gathering.down
    gathering.lift()
    gathering.add(605, 800, True)
    assert len(strokes(gathering)) == 2


def test_ink_is_bounded() -> None:
    gathering = Gathering(AREA, "pad")
    for number in range(MOST_POINTS + 10):
        gathering.add(600 + number % 2, 800, True)
    assert sum(map(len, strokes(gathering))) == MOST_POINTS


@pytest.mark.parametrize(
    ("pens", "enough"),
    [
        ([], False),
        ([(600, 800, True)], False),
        ([(600, 800, True), (604, 803, True)], False),
        ([(600 + n % 2 * 20, 800, True) for n in range(100)], False),
        ([(600 + 10 * n, 800, True) for n in range(12)], False),
        ([(600 + 10 * n, 800, True) for n in range(40)], True),
        ([(600 + n, 800 + n, True) for n in range(0, 130, 10)] + [(730, 930, False)]
         + [(730 - n, 800 + n, True) for n in range(0, 130, 10)], True),
    ],
    ids=["nothing", "a dot", "a slip", "scratching in place", "a short line", "a long line", "a cross"],
)  # fmt: skip
def test_when_it_is_a_signature(pens: list[tuple[int, int, bool]], enough: bool) -> None:
    assert is_signature(gathered(*pens).ink(), LEAST) is enough
