"""Kits with a real uplink at a fleet that manages its broker, for tests of renewal and of a new authority."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from device.spool.credentials import Credentials
from device.spool.spool import Spool
from device.uplink import process
from device.uplink.settings import UplinkSettings
from protocol.identity import serial_of
from server.db.scope import EVERYONE
from server.fleet import broker_health
from tests.mosquitto import until
from tests.pki import Files
from tests.server.broker.conftest import Managed
from tests.server.programs import PATIENCE_S, Program, listens

DAY = timedelta(days=1)
WAIT_S = 150.0


class Kit:
    """One kit: a spool, the certificate it came with, an uplink that is switched on and off."""

    def __init__(self, managed: Managed, kit_id: str, files: Files) -> None:
        folder = managed.town.folder / "kits" / kit_id
        folder.mkdir(parents=True)
        self.kit_id, self.spool = kit_id, Spool(folder / "spool")
        given = {name: folder / name for name in ("certificate.pem", "key.pem", "authorities.pem")}
        given["certificate.pem"].write_bytes(files.certificate.read_bytes())
        given["key.pem"].write_bytes(files.key.read_bytes())
        given["authorities.pem"].write_bytes(managed.pki.roots.read_bytes())
        self.settings = UplinkSettings(
            kit_id=kit_id,
            spool=folder / "spool",
            mqtt_host="127.0.0.1",
            mqtt_port=managed.broker.port,
            https=f"https://127.0.0.1:{managed.town.ports['kits']}",
            ca=given["authorities.pem"],
            certificate=given["certificate.pem"],
            key=given["key.pem"],
            will_delay_s=1,
            connect_s=10,
            retry_first_s=0.2,
            retry_most_s=1,
            inbox_every_s=1,
            look_every_s=0.5,
        )
        self._pool = ThreadPoolExecutor(1)
        self._running: tuple[Future[None], threading.Event] | None = None

    @property
    def held(self) -> Credentials:
        return self.settings.held()

    @property
    def serial(self) -> str:
        return serial_of(self.held.present().chain()[0])

    @property
    def issuer(self) -> str:
        return self.held.present().chain()[0].issuer.rfc4514_string()

    def on(self) -> None:
        stop = threading.Event()
        self._running = self._pool.submit(process.run, self.settings, stop), stop

    def off(self) -> None:
        if self._running is not None:
            running, stop = self._running
            self._running = None
            stop.set()
            running.result(30)

    def close(self) -> None:
        self.off()
        self.spool.close()
        self._pool.shutdown()

    def is_online(self) -> bool:
        return self.spool.link().online

    def is_renewed(self, before: str) -> bool:
        return self.serial != before and self.held.is_told()


@contextmanager
def fleet(managed: Managed) -> Iterator[Program]:
    """The listener for kits and the job worker, as programs; tonight's check is made already."""
    town = managed.town
    with town.database.writing(EVERYONE) as db:
        broker_health.note(db, "list-life", 5, True, "made before", "", datetime.now(UTC))
    door = Program(town.folder / "kits.log", "server", "serve", "--only", "kits", "--config", str(town.toml))
    work = Program(town.folder / "work.log", "server", "work", "--config", str(town.toml))
    try:
        until(lambda: listens(town.ports["kits"], door), PATIENCE_S, "the listener")
        yield door
    finally:
        work.stop()
        door.stop()


def run(program: str, *arguments: str | Path) -> Any:
    """One command of ours with --json; what it says."""
    ran = subprocess.run(
        [sys.executable, "-m", program, *map(str, arguments), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def refused(program: str, *arguments: str | Path) -> str:
    """As `run`, for what must fail; its complaint."""
    ran = subprocess.run(
        [sys.executable, "-m", program, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert ran.returncode != 0, ran.stdout
    return ran.stderr
