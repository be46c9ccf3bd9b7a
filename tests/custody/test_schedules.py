"""Whatever the weather and whatever is killed: every application arrives exactly once.

Long run: THUISLOKET_LONG=1, or the number of schedules in THUISLOKET_SCHEDULES; on the fleet's other database
with THUISLOKET_SCHEDULES_ENGINE=postgresql. In batches, with progress: `python -m tests.custody`.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.custody.schedules import Run
from tests.custody.stand import Stand, quick_folder
from tests.postgresql import Postgresql
from tests.server.engines import POSTGRESQL, SQLITE, Engine
from tests.server.town import Ground, Town, fill_postgresql, make_ground

log = logging.getLogger(__name__)
MANY = int(os.environ.get("THUISLOKET_SCHEDULES", "10000" if os.environ.get("THUISLOKET_LONG") else "480"))
FIRST = int(os.environ.get("THUISLOKET_FIRST_SEED", "1"))
ENGINE = os.environ.get("THUISLOKET_SCHEDULES_ENGINE", SQLITE)
FEW = 20
RUNS = [(ENGINE, MANY)]
if "THUISLOKET_SCHEDULES" not in os.environ and ENGINE == SQLITE:
    RUNS.append((POSTGRESQL, FEW))
KITS = 12

pytestmark = [pytest.mark.system, pytest.mark.timeout(600 + 6 * MANY)]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as made:
        yield made


@pytest.fixture
def stand(folder: Path, ground: Ground, engine: str) -> Iterator[Stand]:
    server = Postgresql() if engine == POSTGRESQL else None
    if server is not None:
        fill_postgresql(ground, server)
    made = Stand(Town(folder / "town", ground, Engine(server)), KITS)
    try:
        yield made
    finally:
        made.close()
        made.town.close()
        if server is not None:
            server.stop()


@pytest.mark.parametrize(("engine", "many"), RUNS)
def test_every_application_arrives_exactly_once_in_any_weather(stand: Stand, engine: str, many: int) -> None:
    stand.start()
    run = Run(stand)
    run.play(range(FIRST, FIRST + many))
    log.info("%s: %s", engine, run.summary())
    assert run.history.violations() == []
    assert run.played == many
    assert len(run.history.looks) > 3
