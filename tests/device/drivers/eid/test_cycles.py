"""A day of cards leaves nothing behind in the process, and two readers side by side never mix theirs."""

import gc
import threading
from pathlib import Path

import pytest

from device.drivers.eid.driver import PcscReader, open_reader
from device.drivers.eid.settings import Settings
from device.drivers.eid.trust import TrustStore
from device.emulators.eid.spec import Person
from tests.device.drivers.eid.conftest import Bench, CardMaker
from tests.device.drivers.eid.reader import SLOT_NAMES, VirtualReader

pytestmark = pytest.mark.system
CYCLES = 15  # in each of the two slots
GROWTH_KB = 2048


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def memory_kb() -> int:
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


class Slot(Bench):
    """One slot, its driver, and what was read there."""

    def __init__(self, virtual: VirtualReader, number: int, trust: TrustStore) -> None:
        driver = open_reader(Settings(reader=SLOT_NAMES[number]), trust)
        assert isinstance(driver, PcscReader)
        super().__init__(virtual, driver, number)
        self.surnames: list[str] = []

    def cycle(self, card: Path, times: int) -> None:
        for _ in range(times):
            identity = self.read_once(card).identity
            self.surnames.append(identity.surname if identity else "nobody")


def test_thirty_cards_in_and_out_leave_no_thread_and_no_descriptor(
    bench: Bench, card: CardMaker, trust: TrustStore
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
        before, memory = (threading.active_count(), descriptors()), memory_kb()
        both(CYCLES)
        assert (threading.active_count(), descriptors()) == before
        assert memory_kb() - memory < GROWTH_KB
        assert [slot.surnames for slot in slots] == [[name] * (CYCLES + 2) for name in ("Eerste", "Tweede")]
    finally:
        for slot in slots:
            slot.driver.close()
