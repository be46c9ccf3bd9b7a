"""A fleet of real programs with several kits behind bad links, on a disk that costs nothing to write to."""

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from competent.reference import LEDGER
from device.spool.spool import Spool
from protocol.ids import new_ulid
from server.db.scope import EVERYONE
from server.db.tables import Visit
from server.fleet import setup, visits
from tests.custody.nursery import Nursery, Running
from tests.custody.programs import NAMES, Programs
from tests.custody.weather import Lane, Sky
from tests.mosquitto import Mosquitto, until
from tests.server.town import BRUGGE, Town

PATIENCE_S = 120.0
ROOT = Path(__file__).parents[2]
MEMORY = Path("/dev/shm")
ENOUGH = 2**30
AT_ONCE = 10  # visits planned together: the kit's bag is built once for them


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where there is room: what is written outlives a process that is killed, as on any
    disk, and nothing here cuts the power."""
    room = os.statvfs(MEMORY) if MEMORY.is_dir() else None
    above = MEMORY if room and room.f_bavail * room.f_frsize >= ENOUGH else None
    with tempfile.TemporaryDirectory(prefix="tl-weather-", dir=above) as name:
        yield Path(name)


class KitStand:
    """One kit's spool, its uplink process, and the two lanes its traffic takes."""

    def __init__(self, town: Town, sky: Sky, kit_id: str, nursery: Nursery) -> None:
        self.kit_id = kit_id
        self._nursery = nursery
        folder = town.folder / kit_id
        self.spool = Spool(folder / "spool")
        self.mqtt: Lane = sky.lane(town.ports["mqtt"])
        self.https: Lane = sky.lane(town.ports["kits"])
        pki = town.ground.pki
        files = pki.issue("kit-tls", kit_id)
        pki.issue("kit-sign", kit_id)
        self._log = folder / "log"
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
            "inbox_every_s": 10.0,
            "look_every_s": 2.0,
            "piece_bytes": 4096,
            # Every other kit takes the way through the broker after the first trouble with HTTPS.
            "ferry_after_s": 0.2 if kit_id.endswith(tuple("02468")) else 2.0,
        }
        self._running: Running | None = None
        self._sealed = 0

    def next_seq(self) -> int:
        """The number of the kit's next packet."""
        self._sealed += 1
        return self._sealed

    def start(self) -> None:
        self._running = self._nursery.start(
            self._log, "tests.device.uplink.program", json.dumps(self._settings)
        )

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
        return self._running is not None and self._running.wait(0)

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
        self._nursery = Nursery(sources, ("device.uplink.process",))
        self.kits = [KitStand(town, self.sky, name, self._nursery) for name in names]
        self.ledger = town.folder / "service" / LEDGER  # made by the service, whichever build it is of
        self._hour = self._third = 0

    def start(self) -> None:
        for name in NAMES:
            self.programs.start(name)
        for kit in self.kits:
            kit.start()
        until(lambda: all(kit.spool.link().online for kit in self.kits), PATIENCE_S, "all kits online")
        # Listening, it has made its ledger: ours would be made otherwise than a broken build's.
        until(lambda: _listens(self.town.ports["service"]), PATIENCE_S, "the service")

    def plan(self, kit_id: str) -> list[Visit]:
        """Visits for a kit, each at an hour of its own in the months to come."""
        town, clerk, now, planned = self.town, self.town.actor(), datetime.now(UTC), []
        asked = [town.ask(name=f"Persoon {new_ulid()}").request_id for _ in range(AT_ONCE)]
        with town.database.writing(clerk.scope) as db:
            for request in asked:
                self._hour += 1
                starts = now + timedelta(days=20, hours=self._hour)
                planned.append(visits.plan(db, clerk, request, "an.peeters", kit_id, starts, 45, now))
        return planned

    def plan_again(self, kit_id: str, visit: Visit) -> Visit:
        """The short visit for the part that is asked again, before the others, by another officer."""
        clerk, now = self.town.actor(), datetime.now(UTC)
        self._third += 1
        starts = now + timedelta(days=1, minutes=20 * self._third)
        with self.town.database.writing(clerk.scope) as db:
            return visits.plan(db, clerk, visit.request_id, "bo.claes", kit_id, starts, 15, now)

    def close(self) -> None:
        with ExitStack() as all_of_it:  # whatever one of them says
            all_of_it.callback(self.sky.close)
            all_of_it.callback(self.programs.close)
            all_of_it.callback(self._nursery.close)
            for kit in self.kits:
                all_of_it.callback(kit.close)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
