"""The pages of a town, and somebody signed in at each desk."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from server.app import create_app
from server.web.context import _KEY, Context
from tests.server.browsing import Browser
from tests.server.town import Town


@pytest.fixture
def app(town: Town) -> Iterator[Flask]:
    made = create_app(town.config)
    made.testing = True
    yield made
    context: Context = made.extensions[_KEY]
    context.database.close()


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
