"""A fleet that manages a real mosquitto: manager's certificate, a release of the authority, files of its
own.
"""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from protocol import access
from provisioning import broker
from provisioning.release import release
from server.broker.steward import Manager
from server.work import utc_now
from tests.mosquitto import Mosquitto
from tests.postgresql import Postgresql
from tests.server.engines import POSTGRESQL, SQLITE, SQLITE_FILE, Engine
from tests.server.town import Ground, Town, filled_postgresql, make_ground


class Managed:
    """Broker and fleet of one town. `release` is what the authority last handed over."""

    def __init__(self, folder: Path, ground: Ground, engine: Engine = SQLITE_FILE) -> None:
        self.town = Town(folder / "town", ground, engine)
        self.pki = ground.pki
        self.release = folder / "release"
        release(self.pki.authority, self.release)
        self.broker = Mosquitto(folder / "broker", self.pki, kits=())
        self.conf = self.broker.configuration
        own = {
            "authorities": self.broker.settings.folder / "authorities.pem",
            "revoked": self.broker.settings.folder / "revoked.pem",
        }
        shutil.copyfile(self.release / "authorities.pem", own["authorities"])
        shutil.copyfile(self.release / "broker-lists.pem", own["revoked"])
        self.broker.settings = replace(self.broker.settings, **own)
        broker.write(self.broker.settings)
        self.write_toml()

    def write_toml(self, mode: str = "trial", authority: bool = True) -> None:
        town, pki = self.town, self.pki
        admin = pki.issue("ingest", access.ADMIN)
        for name in ("kit-authorities.pem", "kit-lists.pem"):
            shutil.copyfile(self.release / name, town.folder / name)
        town.ports["mqtt"] = self.broker.port
        town.write_toml()
        text = town.toml.read_text().replace('data = "data"', f'data = "data"\nmode = "{mode}"')
        text = text.replace(f'client_ca = "{pki.folder}/clients.pem"', 'client_ca = "kit-authorities.pem"')
        text = text.replace(f'crl = "{pki.folder}/revoked.pem"', 'crl = "kit-lists.pem"')
        text += f"""
[broker]
certificate = "{admin.certificate}"
key = "{admin.key}"
configuration = "{self.conf}"
release = "{self.release}"
"""
        if authority:
            text += f'authority = "{pki.folder}/ca"\n'
        town.toml.write_text(text)

    @property
    def manager(self) -> Manager:
        return Manager(self.town.database, self.town.config, utc_now)


@pytest.fixture(scope="package")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture(scope="package")
def postgresql(ground: Ground) -> Iterator[Postgresql]:
    """As for the other rooms, filled with this room's own ground."""
    with filled_postgresql(ground) as server:
        yield server


@pytest.fixture
def engine() -> str:
    """SQLite; a test that runs on both engines says so."""
    return SQLITE


@pytest.fixture
def managed(tmp_path: Path, ground: Ground, engine: str, request: pytest.FixtureRequest) -> Iterator[Managed]:
    server = request.getfixturevalue("postgresql") if engine == POSTGRESQL else None
    made = Managed(tmp_path, ground, Engine(server))
    made.broker.start()
    yield made
    made.broker.stop()
    made.town.close()
