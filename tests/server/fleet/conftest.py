"""Every test of this room runs on both engines."""

import pytest

from tests.server.conftest import ENGINES


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)
