"""A day of cards leaves nothing behind in the process."""

import gc
import threading
from pathlib import Path

import pytest

from tests.device.drivers.eid.conftest import Bench, CardMaker

pytestmark = pytest.mark.system
WARM_UP, CYCLES = 3, 30
GROWTH_KB = 2048


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def memory_kb() -> int:
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_thirty_cards_in_and_out_leave_no_thread_and_no_descriptor(bench: Bench, card: CardMaker) -> None:
    folder = card()
    for cycle in range(WARM_UP + CYCLES):
        assert bench.read_once(folder).verdict == "verified"
        if cycle == WARM_UP - 1:
            before = (threading.active_count(), descriptors())
            memory = memory_kb()
    assert (threading.active_count(), descriptors()) == before
    assert memory_kb() - memory < GROWTH_KB
