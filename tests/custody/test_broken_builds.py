"""The judge catches a fleet that has no fencing or idempotency, or promises before it has committed."""

from pathlib import Path

import pytest

from tests.custody.broken import BUILDS, build
from tests.custody.schedules import Run
from tests.custody.stand import Stand
from tests.custody.weather import BAD, Kind
from tests.server.town import Ground, Town, make_ground

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

KITS, MOST = 4, 400
# Two writers at once are what only late bytes make.
KINDS: dict[str, tuple[Kind, ...]] = {"no-fencing": ("late",)}
# What is lost between a receipt and its commit shows when the ingest is killed there.
OFTEN, VICTIMS = {"receipt-before-commit": 0.2}, {"receipt-before-commit": ("ingest",)}
SAYS = {
    "no-fencing": "refused: digest",
    "no-idempotency": "lines at the service",
    "receipt-before-commit": "never heard",
    "uploaded-before-commit": "the kit: uploaded",
}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"))


@pytest.mark.parametrize("name", sorted(BUILDS))
def test_a_broken_build_is_caught(name: str, ground: Ground, tmp_path: Path) -> None:
    town = Town(tmp_path / "town", ground)
    stand = Stand(town, KITS, build(name, tmp_path / "sources"))
    found: list[str] = []
    try:
        stand.start()
        for first in range(1, MOST, 20):
            run = Run(stand, KINDS.get(name, BAD), VICTIMS.get(name, ()))
            run.play(range(first, first + 20), OFTEN.get(name, 0.0))
            found = [line for line in run.history.violations() if SAYS[name] in line]
            if found:
                break
    finally:
        stand.close()
        town.close()
    assert found, f"{MOST} schedules and nothing noticed"
