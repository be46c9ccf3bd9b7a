"""A fresh vault with one officer, behind a PIN that is cheap to check."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from device.vault import keys
from device.vault.database import Database
from device.vault.keysource import FileKeySource
from tests.device.vault.kit import Kit, build_kit


@pytest.fixture(autouse=True)
def _quick_pins(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Argon2id at its smallest, but for the tests that ask for the real cost."""
    if "real_cost" not in request.fixturenames:
        monkeypatch.setattr(keys, "MEMORY_KIB", 64)
        monkeypatch.setattr(keys, "ITERATIONS", 1)


@pytest.fixture
def real_cost() -> None:
    """Argon2id as on a kit: 64 MiB."""


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    made = build_kit(tmp_path)
    yield made
    made.database.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "vault.db")
    yield made
    made.close()


@pytest.fixture
def source(tmp_path: Path) -> FileKeySource:
    return FileKeySource.create(tmp_path / "secret")
