"""A town for every test of the fleet server; what takes long is made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.town import Ground, Town, make_ground


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture
def town(tmp_path: Path, ground: Ground) -> Iterator[Town]:
    made = Town(tmp_path / "town", ground)
    yield made
    made.close()
