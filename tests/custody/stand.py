"""A fleet of real programs with several kits behind bad links; each program is killed and started alone."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from competent.reference import LEDGER
from device.spool.spool import Spool
from protocol.ids import new_ulid
from server.db.scope import EVERYONE
from server.db.tables import Visit
from server.fleet import setup, visits
from tests.custody.weather import Lane, Sky
from tests.mosquitto import Mosquitto, until
from tests.server.town import BRUGGE, Town

PATIENCE_S = 120.0
ROOT = Path(__file__).parents[2]
PARTS: Mapping[str, tuple[str, ...]] = {
    "listener": ("serve", "--only", "kits"),
    "ingest": ("ingest",),
    "worker": ("work",),
}


class Running:
    """One program in a session of its own; `cwd` says whose sources it runs."""

    def __init__(self, log: Path, cwd: Path, *argv: str) -> None:
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *argv], cwd=cwd, stdout=file, stderr=file, start_new_session=True
            )

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    @property
    def code(self) -> int | None:
        return self._process.poll()


class Programs:
    """Broker, fleet and service by name: `kill` is -9, `start` begins anew."""

    def __init__(self, town: Town, broker: Mosquitto, sources: Path) -> None:
        self._town, self._broker, self._sources = town, broker, sources
        self._running: dict[str, Running] = {}
        self.names = ("broker", "service", *PARTS)
        self._service = _service_toml(town)

    def start(self, name: str) -> None:
        argv: tuple[str, ...]
        if name == "broker":
            self._broker.start()
            return
        if name == "service":
            argv = ("competent.reference", "--config", str(self._service))
        else:
            argv = ("server", *PARTS[name], "--config", str(self._town.toml))
        self._running[name] = Running(self._town.folder / f"{name}.log", self._sources, *argv)

    def kill(self, name: str) -> None:
        if name == "broker":
            self._broker.kill()
        else:
            self._running.pop(name).kill()

    def fallen(self) -> list[str]:
        """Those that ended by themselves: never right, whatever the weather."""
        return [name for name, program in self._running.items() if program.code is not None]

    def close(self) -> None:
        for program in self._running.values():
            program.kill()
        self._broker.stop()


class KitStand:
    """One kit's spool, its uplink process, and the two lanes its traffic takes."""

    def __init__(self, town: Town, sky: Sky, kit_id: str, sources: Path) -> None:
        self.kit_id = kit_id
        folder = town.folder / kit_id
        self.spool = Spool(folder / "spool")
        self.mqtt: Lane = sky.lane(town.ports["mqtt"])
        self.https: Lane = sky.lane(town.ports["kits"])
        pki = town.ground.pki
        files = pki.issue("kit-tls", kit_id)
        pki.issue("kit-sign", kit_id)
        self._log, self._sources = folder / "log", sources
        self._settings = {
            "kit_id": kit_id,
            "spool": str(folder / "spool"),
            "mqtt_host": "127.0.0.1",
            "mqtt_port": self.mqtt.port,
            "https": f"https://127.0.0.1:{self.https.port}",
            "ca": str(pki.roots),
            "certificate": str(files.certificate),
            "key": str(files.key),
            "will_delay_s": 1,
            "connect_s": 3.0,
            "read_s": 3.0,
            "retry_first_s": 0.05,
            "retry_most_s": 0.5,
            "receipt_s": 1.5,
            "inbox_every_s": 5.0,
            "look_every_s": 0.5,
            "piece_bytes": 4096,
            # Every other kit takes the way through the broker after the first trouble with HTTPS.
            **({"ferry_after_s": 0.2} if kit_id.endswith(tuple("02468")) else {}),
        }
        self._running: Running | None = None
        self._sealed = 0

    def next_seq(self) -> int:
        """The number of the kit's next packet."""
        self._sealed += 1
        return self._sealed

    def start(self) -> None:
        argv = ("tests.device.uplink.program", json.dumps(self._settings))
        self._running = Running(self._log, self._sources, *argv)

    def kill(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running = None

    @property
    def crossings(self) -> int:
        """How often a packet began its way through the broker."""
        return self._log.read_text().count("by-broker")

    @property
    def fallen(self) -> bool:
        return self._running is not None and self._running.code is not None

    def close(self) -> None:
        self.kill()
        self.spool.close()


class Stand:
    """Everything of a run: `with`-less, close it. `sources` is the tree whose programs run."""

    def __init__(self, town: Town, kits: int, sources: Path = ROOT) -> None:
        self.town, self.sky = town, Sky()
        broker = Mosquitto(town.folder / "broker", town.ground.pki)
        town.ports["mqtt"] = broker.port
        town.write_toml()
        self.programs = Programs(town, broker, sources)
        names = [f"kit-weer-{number:02}" for number in range(1, kits + 1)]
        entries = [{"id": name, "bag_recipient": town.ground.bag[1], "tenants": [BRUGGE]} for name in names]
        with town.database.writing(EVERYONE) as db:
            setup.add(db, {"kits": entries}, datetime.now(UTC))
        self.kits = [KitStand(town, self.sky, name, sources) for name in names]
        self.ledger = town.folder / "service" / LEDGER  # made by the service, whichever build it is of
        self._slot = 0

    def start(self) -> None:
        for name in self.programs.names:
            self.programs.start(name)
        for kit in self.kits:
            kit.start()
        until(lambda: all(kit.spool.link().online for kit in self.kits), PATIENCE_S, "all kits online")
        # Listening, it has made its ledger: ours would be made otherwise than a broken build's.
        until(lambda: _listens(self.town.ports["service"]), PATIENCE_S, "the service")

    def plan(self, kit_id: str, many: int) -> list[Visit]:
        """Visits for a kit, each at a time of its own in the months to come."""
        town, clerk, now, planned = self.town, self.town.actor(), datetime.now(UTC), []
        for _ in range(many):
            request = town.ask(name=f"Persoon {new_ulid()}").request_id
            self._slot += 1
            starts = now + timedelta(days=1, minutes=60 * self._slot)
            with town.database.writing(clerk.scope) as db:
                planned.append(visits.plan(db, clerk, request, "an.peeters", kit_id, starts, 45, now))
        return planned

    def close(self) -> None:
        for kit in self.kits:
            kit.close()
        self.programs.close()
        self.sky.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


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
