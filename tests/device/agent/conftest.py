"""A kit in a folder of its own; founding one costs a second, so each test gets a copy."""

from pathlib import Path

import pytest

from tests.device.agent.kit import Kit


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return Kit(tmp_path_factory.mktemp("founded"))


@pytest.fixture
def kit(founded: Kit, tmp_path: Path) -> Kit:
    return founded.copy_to(tmp_path / "kit")
