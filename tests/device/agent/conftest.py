"""A kit in a folder of its own."""

from pathlib import Path

import pytest

from tests.device.agent.kit import Kit


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(tmp_path)
