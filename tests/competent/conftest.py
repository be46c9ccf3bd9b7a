"""One desk per test, around certificates made once."""

import pytest

from tests.competent.place import Desk, build_desk
from tests.protocol.sealed.application import World, build_world


@pytest.fixture(scope="session")
def _world() -> World:
    return build_world()


@pytest.fixture
def desk(tmp_path, _world) -> Desk:
    return build_desk(tmp_path, _world)
