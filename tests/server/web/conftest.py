"""The pages of a town, and somebody signed in at each desk; on both engines."""

from collections.abc import Callable, Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Flask
from flask.testing import FlaskClient

from server.app import create_app
from server.db.engine import Database
from server.kit_app import create_kit_app
from server.web.context import _KEY, Context
from tests.server.browsing import Browser
from tests.server.conftest import ENGINES
from tests.server.town import KIT, Town
from tests.server.web.caller import Kit


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
def kit(town: Town, kit_door: FlaskClient) -> Callable[..., Kit]:
    def with_certificate(role: str = "kit-tls", name: str = KIT) -> Kit:
        path = town.ground.pki.folder / f"{role}-{name}.pem"
        leaf = x509.load_pem_x509_certificates(path.read_bytes())[0]
        return Kit(kit_door, leaf.public_bytes(Encoding.DER))

    return with_certificate


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
