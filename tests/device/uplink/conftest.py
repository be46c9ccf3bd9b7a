"""A kit's uplink with everything it talks to: a real broker, a fleet stand over HTTPS, a spool."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest

from device.spool.spool import Spool
from device.uplink import process
from device.uplink.settings import UplinkSettings
from protocol.ids import new_ulid
from tests.device.uplink.fleet_stand import FleetStand, Worker
from tests.mosquitto import Mosquitto, free_port, until
from tests.pki import Pki

KIT = "kit-test-01"


@pytest.fixture(scope="package")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


class Site:
    """One kit and its fleet. `start` runs the uplink in a thread, `spawn` as a process."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        self.folder, self.pki = folder, pki
        self.broker = Mosquitto(folder / "mosquitto", pki)
        self.stand = FleetStand(free_port(), pki.clients, pki.issue("server", "fleet.test"))
        self.spool = Spool(folder / "spool")
        kit = pki.issue("kit-tls", KIT)
        self.settings = UplinkSettings(
            kit_id=KIT,
            spool=folder / "spool",
            mqtt_host="127.0.0.1",
            mqtt_port=self.broker.port,
            https=f"https://127.0.0.1:{self.stand.port}",
            ca=pki.roots,
            certificate=kit.certificate,
            key=kit.key,
            will_delay_s=1,
            connect_s=5,
            read_s=5,
            retry_first_s=0.1,
            retry_most_s=0.5,
            receipt_s=1,
            inbox_every_s=2,
            look_every_s=0.5,
            piece_bytes=4096,
        )
        self._worker: Worker | None = None
        self._pool = ThreadPoolExecutor(4)
        self._runs: list[tuple[Future[None], Event]] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def worker(self) -> Worker:
        """The ingest worker; it must first connect before events, to have a session that keeps them."""
        if self._worker is None:
            files = self.pki.issue("ingest", "fleet-ingest-1")
            self._worker = Worker(self.broker.port, self.pki.roots, files)
        return self._worker

    def start(self, **changes: Any) -> None:
        stop = Event()
        running = self._pool.submit(process.run, replace(self.settings, **changes), stop)
        self._runs.append((running, stop))

    def finish(self) -> None:
        """Stop the uplink as a power-off does; what ended it otherwise is raised here."""
        runs, self._runs = self._runs, []
        for running, stop in runs:
            stop.set()
            running.result(20)

    def spawn(self, **changes: Any) -> subprocess.Popen[bytes]:
        values = asdict(replace(self.settings, **changes))
        arguments = json.dumps(values, default=str)
        with (self.folder / "uplink.log").open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "tests.device.uplink.program", arguments], stderr=log
            )
        self._processes.append(started)
        return started

    def online(self) -> None:
        until(lambda: self.spool.link().online, what="the uplink to be online")

    def report(self) -> str:
        body = {"kind": "visit", "visit_id": new_ulid(), "state": "opened", "reason": ""}
        return self.spool.report("up/evt/visit", msgspec.json.encode(body))

    def offer(self, data: bytes) -> str:
        packet_id = new_ulid()
        self.spool.offer_packet(packet_id, data)
        return packet_id

    def close(self) -> None:
        for _, stop in self._runs:
            stop.set()
        for started in self._processes:
            if started.poll() is None:
                started.send_signal(signal.SIGKILL)
            started.wait(10)
        if self._worker is not None:
            self._worker.close()
        self.stand.stop()
        self.broker.stop()
        self.spool.close()
        self.finish()
        self._pool.shutdown()


@pytest.fixture
def site(tmp_path: Path, pki: Pki) -> Iterator[Site]:
    made = Site(tmp_path, pki)
    made.broker.start()
    made.stand.start()
    yield made
    made.close()
