"""Broker, fleet and service as real programs, each killed and started alone; and the errands of a person."""

import threading
from collections.abc import Mapping
from pathlib import Path

from tests.custody.nursery import Nursery, Running
from tests.mosquitto import Mosquitto
from tests.server.town import Town

PARTS: Mapping[str, tuple[str, ...]] = {
    "listener": ("serve", "--only", "kits"),
    "ingest": ("ingest",),
    "worker": ("work",),
}
NAMES = ("broker", "service", *PARTS)
# What the programs would import by the time they work.
IMPORTED = (
    "server.command",
    "server.kit_app",
    "server.mqtt",
    "server.work",
    "server.authority.clerk",
    "server.broker.night",
    "server.broker.worker",
    "server.couriering",
    "server.fleet.courier",
    "gunicorn.app.base",
    "gunicorn.workers.gthread",
    "psycopg",
    "typer._adapters",  # imports pydantic when it reads its arguments
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.dialects.postgresql.psycopg",
    "competent.reference",
)


class Programs:
    """By name: `kill` is -9, `start` begins anew. `sources` is the tree whose programs run."""

    def __init__(self, town: Town, broker: Mosquitto, sources: Path) -> None:
        self._town, self._broker = town, broker
        self._nursery = Nursery(sources, IMPORTED)
        self._running: dict[str, Running] = {}
        self._killing = threading.Lock()
        self._service = _service_toml(town)

    def start(self, name: str) -> None:
        if name == "broker":
            self._broker.start()
        elif name == "service":
            self._start(name, "competent.reference", "--config", str(self._service))
        else:
            self._start(name, "server", *PARTS[name], "--config", str(self._town.toml))

    def kill(self, name: str) -> None:
        if name == "broker":
            self._broker.kill()
        else:
            with self._killing:
                self._running.pop(name).kill()

    def errand(self, what: str, stick: Path) -> Running:
        """`thuisloket-fleet courier what`, as the administrator of the fleet does it."""
        argv = ("courier", what, str(stick), "--config", str(self._town.toml))
        return self._nursery.start(self._town.folder / "courier.log", "server", *argv)

    def fallen(self) -> list[str]:
        """Those that ended by themselves, not by `kill`: never right, whatever the weather."""
        with self._killing:
            return [name for name, program in list(self._running.items()) if program.wait(0)]

    def close(self) -> None:
        self._broker.stop()
        for program in self._running.values():
            program.kill()
        self._nursery.close()

    def _start(self, name: str, module: str, *argv: str) -> None:
        self._running[name] = self._nursery.start(self._town.folder / f"{name}.log", module, *argv)


def _service_toml(town: Town) -> Path:
    folder = town.folder / "service"
    folder.mkdir(exist_ok=True)
    pki = town.ground.pki.folder
    path = folder / "service.toml"
    path.write_text(
        f"""port = {town.ports["service"]}
certificate = "{pki}/service-service.test.pem"
key = "{pki}/service-service.test.key"
client_ca = "{pki}/clients.pem"
trust = "{town.folder}/trust"
keys = "{town.ground.service}"
data = "{folder}"
control_token = "a-control-token-for-tests"
"""
    )
    return path
