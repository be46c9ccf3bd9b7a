"""A town for every test of the fleet server; what takes long is made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import Postgresql
from tests.server.engines import POSTGRESQL, SQLITE, Engine
from tests.server.town import Ground, Town, filled_postgresql, make_ground

ENGINES = [SQLITE, POSTGRESQL]


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture(scope="session")
def postgresql(ground: Ground) -> Iterator[Postgresql]:
    """One server a run, with a filled database that every test gets a copy of."""
    with filled_postgresql(ground) as server:
        yield server


@pytest.fixture
def engine() -> str:
    """SQLite; the rooms whose tests run on both engines say so in their own conftest."""
    return SQLITE


@pytest.fixture
def town(tmp_path: Path, ground: Ground, engine: str, request: pytest.FixtureRequest) -> Iterator[Town]:
    server = request.getfixturevalue("postgresql") if engine == POSTGRESQL else None
    made = Town(tmp_path / "town", ground, Engine(server))
    yield made
    made.close()
