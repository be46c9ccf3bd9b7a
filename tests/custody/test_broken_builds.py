"""The judge catches a fleet that has no fencing or idempotency, or promises before it has committed."""

import logging
import os
import re
from pathlib import Path

import pytest

from tests.custody.broken import BUILDS, build
from tests.custody.draw import Climate
from tests.custody.programs import NAMES
from tests.custody.schedules import Run
from tests.custody.stand import Stand, quick_folder
from tests.server.town import Ground, Town, make_ground

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

KITS, MOST, AT_ONCE = 8, 480, 24
FIRST = int(os.environ.get("THUISLOKET_FIRST_SEED", "1"))
# What each is broken in shows where it is stressed; the usual climate shows it too, later.
CLIMATES = {
    # Two writers at once are what only late bytes make.
    "no-fencing": Climate(NAMES, often=0.0, kinds=("late",), ways=("https",)),
    # What is lost between a receipt and its commit shows when the ingest is killed there.
    "receipt-before-commit": Climate(("ingest",), often=0.2),
}
SAYS = {
    "no-fencing": r"refused: digest|rejected",  # found out by the fleet, or only by the service
    "no-idempotency": "lines at the service",
    "receipt-before-commit": "never heard",
    "uploaded-before-commit": "the kit: uploaded",
}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"))


@pytest.mark.parametrize("name", sorted(BUILDS))
def test_a_broken_build_is_caught(name: str, ground: Ground, tmp_path: Path) -> None:
    climate = CLIMATES.get(name, Climate(NAMES, often=0.0))
    found: list[str] = []
    with quick_folder() as folder:
        town = Town(folder / "town", ground)
        stand = Stand(town, KITS, build(name, tmp_path / "sources"))
        try:
            stand.start()
            for first in range(FIRST, FIRST + MOST, AT_ONCE):
                run = Run(stand, climate)
                run.play(range(first, first + AT_ONCE))
                found = [line for line in run.history.violations() if re.search(SAYS[name], line)]
                if found:
                    break
        finally:
            stand.close()
            town.close()
    log.info(
        "%s: noticed in the %d schedules from %d on: %s", name, AT_ONCE, first, found[0] if found else ""
    )
    assert found, f"{MOST} schedules and nothing noticed"
