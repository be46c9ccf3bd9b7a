"""Jobs and a wish from the fleet's database to a real kit and back, whoever is killed on the way."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from protocol import signed
from server.auth.roles import Actor
from server.db.scope import EVERYONE
from server.db.tables import KitJob, KitTwin, Message
from server.fleet import jobs, kits, twins
from tests.device.agent.kit import KIT, Desktop, Kit, key_pem
from tests.mosquitto import Mosquitto, until
from tests.server.programs import PATIENCE_S, Program
from tests.server.town import BRUGGE, Ground, Town, make_ground

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

CHIEF = Actor("1", "An Chef", "fleet-admin", None)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    (tmp_path / "kit").mkdir()
    return Kit(tmp_path / "kit")


@pytest.fixture
def town(tmp_path: Path, ground: Ground, kit: Kit) -> Iterator[Town]:
    """A fleet that knows the kit, and whose command key is pinned on it."""
    made = Town(tmp_path / "town", ground)
    (made.folder / "command.key").write_bytes(key_pem(kit.command_key))
    with made.database.writing(EVERYONE) as db:
        kits.add(db, KIT, ground.bag[1], [BRUGGE], datetime.now(UTC))
    yield made
    made.close()


@pytest.fixture
def broker(town: Town, kit: Kit) -> Iterator[Mosquitto]:
    made = Mosquitto(town.folder / "broker", town.ground.pki)
    town.ports["mqtt"] = made.port
    town.write_toml()
    kid = signed.key_id(kit.command_key.public_key())
    town.toml.write_text(town.toml.read_text().replace('"command-1"', f'"{kid}"'))
    made.start()
    yield made
    made.stop()


class Fleet:
    """The MQTT worker and the job worker: all that a job meets."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._programs: list[Program] = []

    def start(self) -> None:
        for part in ("ingest", "work"):
            log = self._town.folder / f"{part}.log"
            self._programs.append(Program(log, "server", part, "--config", str(self._town.toml)))

    def kill(self) -> None:
        for program in self._programs:
            program.kill()
        self._programs.clear()


class Uplink:
    """The kit's uplink as a process."""

    def __init__(self, town: Town, kit: Kit) -> None:
        files = town.ground.pki.issue("kit-tls", KIT)
        self._log = kit.folder / "uplink.log"
        self._settings: dict[str, Any] = {
            "kit_id": KIT, "spool": str(kit.data / "spool"), "mqtt_host": "127.0.0.1",
            "mqtt_port": town.ports["mqtt"], "https": f"https://127.0.0.1:{town.ports['kits']}",
            "ca": str(town.ground.pki.roots), "certificate": str(files.certificate), "key": str(files.key),
            "will_delay_s": 1, "retry_most_s": 1.0, "receipt_s": 3.0, "inbox_every_s": 5.0,
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.device.uplink.program", json.dumps(self._settings)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)


def states(town: Town) -> Counter[str]:
    with town.database.reading(EVERYONE) as db:
        return Counter(db.scalars(select(KitJob.state)))


def test_what_was_asked_while_the_kit_was_off_is_done_once_whoever_is_killed(
    town: Town, broker: Mosquitto, kit: Kit
) -> None:
    actions = ("report-now", "try-uploads-now", "self-test", "reconnect", "lock")
    with town.database.writing(EVERYONE) as db:
        for action in actions:
            jobs.give(db, CHIEF, KIT, action, datetime.now(UTC))
        twins.wish(db, CHIEF, KIT, {"language": "fr", "health-every-s": 30}, datetime.now(UTC))
    fleet, uplink = Fleet(town), Uplink(town, kit)
    chance = random.Random(20261122)
    with Desktop(kit) as top:
        try:
            fleet.start()
            for _ in range(3):
                uplink.start()
                time.sleep(chance.uniform(0.3, 3.0))
                uplink.kill()
            fleet.kill()
            fleet.start()
            uplink.start()
            until(lambda: states(town)["done"] == len(actions), PATIENCE_S, "all jobs to be done")
            top.until(lambda seen: seen.language == "fr")
            until(lambda: stands_at(town) == 1, PATIENCE_S, "the wish to be reported")
            until(lambda: top.spool.reports_waiting() == 0, PATIENCE_S, "every receipt")
        finally:
            uplink.kill()
            fleet.kill()
    with town.database.reading(EVERYONE) as db:
        steps = Counter(outcome for outcome in db.scalars(select(Message.outcome)) if "job" in outcome)
    done = len(actions)
    assert steps == {"job-accepted": done, "job-running": done, "job-done": done}


def stands_at(town: Town) -> int:
    with town.database.reading(EVERYONE) as db:
        row = db.get(KitTwin, KIT)
    return int(str(row.reported["version"])) if row is not None and row.reported else 0
