"""Whatever the weather and whatever is killed: every application arrives exactly once.

Long run: THUISLOKET_LONG=1, or the number of schedules in THUISLOKET_SCHEDULES."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.custody.schedules import Run
from tests.custody.stand import Stand
from tests.server.town import Ground, Town, make_ground

log = logging.getLogger(__name__)
MANY = int(os.environ.get("THUISLOKET_SCHEDULES", "10000" if os.environ.get("THUISLOKET_LONG") else "500"))
FIRST = int(os.environ.get("THUISLOKET_FIRST_SEED", "1"))
KITS = 8
OFTEN = 0.04  # of the schedules also kill a program of the fleet; its restart takes seconds of processor time

pytestmark = [pytest.mark.system, pytest.mark.timeout(600 + 6 * MANY)]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture
def stand(tmp_path: Path, ground: Ground) -> Iterator[Stand]:
    made = Stand(Town(tmp_path / "town", ground), KITS)
    try:
        yield made
    finally:
        made.close()
        made.town.close()


def test_every_application_arrives_exactly_once_in_any_weather(stand: Stand) -> None:
    stand.start()
    run = Run(stand)
    run.play(range(FIRST, FIRST + MANY), OFTEN)
    log.info("%d schedules; killed %s; connections %s", run.played, dict(run.struck), dict(stand.sky.met))
    assert run.history.violations() == []
    assert run.played == MANY
    assert len(run.history.counts) > 3
