from collections.abc import Iterator
from pathlib import Path

import pytest

from device.drivers.keys.tpm.source import TpmKeySource
from tests.device.drivers.keys.tpm.swtpm import Swtpm


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[Swtpm]:
    made = Swtpm(tmp_path / "tpm")
    made.start()
    yield made
    made.cut()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Swtpm]:
    made = Swtpm(tmp_path / "other")
    made.start()
    yield made
    made.cut()


@pytest.fixture
def source(tpm: Swtpm, tmp_path: Path) -> TpmKeySource:
    return tpm.found(tmp_path / "tpm.keys")
