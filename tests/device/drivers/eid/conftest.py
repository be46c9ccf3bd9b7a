"""One virtual reader and one driver a test run, and cards made once."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from device.drivers.eid.driver import PcscReader, open_reader
from device.drivers.eid.settings import Settings
from device.drivers.eid.trust import TrustStore, load_trust
from device.emulators.eid.maker import make_card
from device.emulators.eid.pki import Pki
from device.emulators.eid.spec import Spec
from device.ports import Capture, CardReading, Progress
from tests.device.drivers.eid.reader import SLOT_NAMES, VirtualReader

ANSWER_S = 1.0
LONG = os.environ.get("THUISLOKET_LONG") == "1"  # every case and the long loops; else a choice of them


def patience(progress: Progress = lambda share, code: None) -> Capture:
    return Capture(30.0, progress, threading.Event())


@pytest.fixture(scope="session")
def pki_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    pki = Pki(folder)
    for name in ("ec", "rsa", "old"):
        pki.family(name)
    return folder


@pytest.fixture(scope="session")
def trust_folder(pki_folder: Path) -> Path:
    return pki_folder / "trust"


@pytest.fixture(scope="session")
def trust(trust_folder: Path) -> TrustStore:
    return load_trust(trust_folder)


CardMaker = Callable[..., Path]


@pytest.fixture(scope="session")
def card(pki_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> CardMaker:
    """`card(generation="1.7-ec", defects=("clone",))` gives the folder of such a card, made once."""
    made: dict[Spec, Path] = {}

    def make(**wishes: Any) -> Path:
        spec = Spec(**wishes)
        if spec not in made:
            made[spec] = tmp_path_factory.mktemp("card")
            make_card(spec, Pki(pki_folder), made[spec]).write(made[spec])
        return made[spec]

    return make


class Bench:
    """One slot of the virtual reader with our driver on it."""

    def __init__(self, virtual: VirtualReader, driver: PcscReader, slot: int = 0) -> None:
        self.virtual = virtual
        self.driver = driver
        self._slot = slot

    def until(self, presence: str, seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while self.driver.presence() != presence:
            assert time.monotonic() < end, f"still {self.driver.presence()}"
            time.sleep(0.01)

    @contextmanager
    def holding(self, card: Path, *faults: dict[str, Any], paced: bool = False) -> Iterator[None]:
        """A card in the reader, seen by the driver; taken out and seen gone afterwards."""
        self.virtual.insert(card, self._slot, faults, paced)
        try:
            self.until("card")
            yield
        finally:
            self.virtual.remove(self._slot)
            self.until("no-card")

    def read(self, progress: Callable[[float, str], None] = lambda share, code: None) -> CardReading:
        return self.driver.read(patience(progress))

    def forget(self) -> None:
        """What the driver has learnt about the block this reader can do."""
        self.driver._blocks.clear()

    def read_once(self, card: Path, *faults: dict[str, Any]) -> CardReading:
        with self.holding(card, *faults):
            return self.read()


@pytest.fixture(scope="session")
def session_bench(virtual: VirtualReader, trust: TrustStore) -> Iterator[Bench]:
    driver = open_reader(Settings(reader=SLOT_NAMES[0], answer_s=ANSWER_S), trust)
    assert isinstance(driver, PcscReader)
    yield Bench(virtual, driver)
    driver.close()


@pytest.fixture
def bench(session_bench: Bench) -> Bench:
    session_bench.until("no-card")
    return session_bench
