"""The pages of a town, and somebody signed in at each desk; on both engines."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from server.app import create_app
from server.db.engine import Database
from server.kit_app import create_kit_app
from server.web.context import _KEY, Context
from tests.server.browsing import Browser
from tests.server.conftest import ENGINES
from tests.server.town import Town


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app(town: Town) -> Iterator[Flask]:
    made = create_app(town.config)
    made.testing = True
    yield made
    context: Context = made.extensions[_KEY]
    context.database.close()


@pytest.fixture
def kit_door(town: Town) -> Iterator[FlaskClient]:
    """Asks the listener for kits and for services that fetch."""
    database = Database(town.config.database_url)
    yield create_kit_app(town.config, database).test_client()
    database.close()


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def signed_in(app: Flask) -> Callable[[str], Browser]:
    def enter(name: str) -> Browser:
        browser = Browser(app)
        assert browser.sign_in(name).status_code == 303
        return browser

    return enter
