"""Cards pulled, swapped, meddled with at every moment of a read, and nothing left of it (A5 to A7, A10)."""

import threading
import time
from typing import Any

import pytest

from device.emulators.eid.spec import Person
from device.errors import Code, KitError
from device.ports import CardReading
from tests.device.drivers.eid.conftest import LONG, Bench, CardMaker
from tests.device.drivers.eid.resources import descriptors, memory_kb

pytestmark = pytest.mark.system
NONSENSE_KB = 16 * 1024


def length_of_a_read(bench: Bench, folder: Any) -> int:
    return bench.read_once(folder).apdus


def test_a05_a_card_pulled_at_any_command_is_reported_at_once_and_leaves_nothing(
    bench: Bench, card: CardMaker
) -> None:
    folder = card()
    commands = length_of_a_read(bench, folder)
    threads, handles = threading.active_count(), descriptors()
    slowest = 0.0
    numbers = range(1, commands + 1) if LONG else range(1, commands + 1, 8)
    for number in numbers:
        with bench.holding(folder, {"do": "pull", "at": number}):
            began = time.monotonic()
            with pytest.raises(KitError) as caught:
                bench.read()
            slowest = max(slowest, time.monotonic() - began)
        assert caught.value.code is Code.CARD_REMOVED, f"pulled at command {number}"
    assert slowest < 2.0
    assert bench.read_once(folder).verdict == "verified"
    assert threading.active_count() <= threads
    assert descriptors() <= handles


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.4] if LONG else [0.2])
def test_a06_a_card_swapped_while_it_is_read_gives_no_mix(
    bench: Bench, card: CardMaker, seconds: float
) -> None:
    other = card(identity=Person(surname="Anders"))
    with bench.holding(card(), {"do": "slow", "seconds": 0.02}):
        swap = threading.Timer(seconds, bench.virtual.insert, (other,))
        swap.start()
        # So quick a swap may pass pcscd unseen, not the other chip; before the first command it is no swap.
        assert how_it_ended(bench) in ("card-swapped", "card-removed", "all of Anders")
        swap.join()
        bench.until("card")
        assert surname(bench.read()) == "Anders"


def how_it_ended(bench: Bench) -> str:
    try:
        reading = bench.read()
        return " ".join(reading.reasons) if reading.identity is None else f"all of {surname(reading)}"
    except KitError as error:
        return error.code


def surname(reading: CardReading) -> str:
    assert reading.identity is not None
    return reading.identity.surname


@pytest.mark.parametrize("do", ["interfere", "reset"])
@pytest.mark.parametrize("at", [9, 30])
def test_a07_a_card_meddled_with_between_two_commands_is_never_read_wrong(
    bench: Bench, card: CardMaker, do: str, at: int
) -> None:
    """Worse than another program, which waits for the end of the transaction: the file changes within."""
    reading = bench.read_once(card(), {"do": do, "at": at})
    assert reading.verdict in ("verified", "rejected")
    if reading.verdict == "verified":
        assert surname(reading) == "Specimen"


@pytest.mark.parametrize("status", ["6581", "6400", "6F00", "6982", "6FFF"])
@pytest.mark.parametrize("at", [3, 24])
def test_a10_a_damaged_card_ends_in_an_error(bench: Bench, card: CardMaker, status: str, at: int) -> None:
    with pytest.raises(KitError) as caught:
        bench.read_once(card(), {"do": "status", "at": at, "status": status})
    assert caught.value.code is Code.CARD_MUTE


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "stub", "at": 4},
        {"do": "long"},
        {"do": "endless-blocks"},
        {"do": "endless-6c"},
        {"do": "endless-61", "at": 2},
        {"do": "endless-61", "at": 40},
    ],
    ids=lambda fault: f"{fault['do']} {fault.get('at', '')}".strip(),
)
def test_a10_answers_without_end_cost_neither_time_nor_memory(
    bench: Bench, card: CardMaker, fault: dict[str, Any]
) -> None:
    folder = card()
    before = memory_kb()
    began = time.monotonic()
    with pytest.raises(KitError):
        bench.read_once(folder, fault)
    assert time.monotonic() - began < 6.0
    assert memory_kb() - before < NONSENSE_KB
