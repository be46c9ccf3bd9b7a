"""A day of cards leaves nothing behind in the process, and two readers side by side never mix theirs."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from device.drivers.eid.driver import PcscReader, open_reader
from device.drivers.eid.settings import Settings
from device.drivers.eid.trust import TrustStore
from device.emulators.eid.spec import Person
from tests.device.drivers.eid.conftest import LONG, Bench, CardMaker
from tests.device.drivers.eid.reader import SLOT_NAMES, VirtualReader
from tests.device.drivers.eid.resources import descriptors, memory_kb

pytestmark = pytest.mark.system
CYCLES = 50 if LONG else 8  # in each of the two slots
GROWTH_KB = 2048
READ_MS = 3000  # un-paced
PACED_READ_MS = 6000  # the 1.7 card, the slowest to read


class Slot(Bench):
    """One slot, its driver, and what was read there."""

    def __init__(self, virtual: VirtualReader, number: int, trust: TrustStore) -> None:
        driver = open_reader(Settings(reader=SLOT_NAMES[number]), trust)
        assert isinstance(driver, PcscReader)
        super().__init__(virtual, driver, number)
        self.surnames: list[str] = []
        self.slowest_ms = 0

    def cycle(self, card: Path, times: int) -> None:
        for _ in range(times):
            reading = self.read_once(card)
            identity = reading.identity
            self.slowest_ms = max(self.slowest_ms, reading.ms)
            self.surnames.append(identity.surname if identity else "nobody")


def test_a18_cards_in_and_out_leave_no_thread_no_descriptor_and_no_memory(
    bench: Bench, card: CardMaker, trust: TrustStore, record_property: Callable[[str, object], None]
) -> None:
    cards = [card(identity=Person(surname=name)) for name in ("Eerste", "Tweede")]
    slots = [Slot(bench.virtual, number, trust) for number in (0, 1)]

    def both(times: int) -> None:
        runs = [
            threading.Thread(target=slot.cycle, args=(folder, times))
            for slot, folder in zip(slots, cards, strict=True)
        ]
        for run in runs:
            run.start()
        for run in runs:
            run.join()

    try:
        both(2)
        threads, handles, memory = threading.active_count(), descriptors(), memory_kb()
        both(CYCLES)
        grown = memory_kb() - memory
        slowest = max(slot.slowest_ms for slot in slots)
        record_property("a18", f"{2 * CYCLES} cycles, memory +{grown} kB, slowest read {slowest} ms")
        # fewer is no fault of ours: what an earlier test left to the garbage collector may go meanwhile
        assert threading.active_count() <= threads
        assert descriptors() <= handles
        assert grown < GROWTH_KB
        assert slowest <= READ_MS
        assert [slot.surnames for slot in slots] == [[name] * (CYCLES + 2) for name in ("Eerste", "Tweede")]
    finally:
        for slot in slots:
            slot.driver.close()


def test_a18_a_card_as_slow_as_a_real_one_is_read_in_time(
    bench: Bench, card: CardMaker, record_property: Callable[[str, object], None]
) -> None:
    with bench.holding(card(generation="1.7-rsa"), paced=True):
        reading = bench.read()
    record_property("a18", f"paced 1.7 card: {reading.ms} ms")
    assert reading.verdict == "verified"
    assert reading.ms <= PACED_READ_MS
