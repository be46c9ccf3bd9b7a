"""A kit that is reported lost while a packet of it is coming in over a slow link: real uplink, real listener,
real broker.
"""

import json
import logging
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func
from sqlalchemy import select as query

from device.spool.spool import Spool
from protocol.sealed.packet import Part
from server.db.scope import EVERYONE
from server.db.tables import Application, Upload
from server.fleet import revocations, uploads
from server.work import utc_now
from tests.mosquitto import until
from tests.postgresql import Postgresql
from tests.server.broker.conftest import Managed
from tests.server.conftest import ENGINES
from tests.server.programs import PATIENCE_S, KitCaller, Program, listens, running
from tests.server.town import KIT, OTHER_KIT, PARTS, Ground, filled_postgresql, make_ground

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
WITHIN_S = 60.0
BYTES, STEP, EVERY_S = 1_500_000, 2_048, 0.04  # half a minute
BEGUN = 60_000


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """For one test alone: its kit is revoked for good."""
    return make_ground(tmp_path / "ground")


@pytest.fixture
def postgresql(ground: Ground) -> Iterator[Postgresql]:
    with filled_postgresql(ground) as server:
        yield server


class SlowLink(threading.Thread):
    """Forwards to a port of this machine, up no more than STEP bytes each EVERY_S, down at once."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._to, self._ended = port, threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def run(self) -> None:
        with self._listener:
            while not self._ended.is_set():
                if select.select([self._listener], [], [], 0.1)[0]:
                    near, _ = self._listener.accept()
                    threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def end(self) -> None:
        self._ended.set()
        self.join(5)

    def _carry(self, near: socket.socket) -> None:
        with near, suppress(OSError), socket.create_connection(("127.0.0.1", self._to)) as far:
            while not self._ended.is_set():
                ready, _, _ = select.select([near, far], [], [], 0.1)
                for source in ready:
                    data = source.recv(STEP)
                    if not data:
                        return
                    (far if source is near else near).sendall(data)
                if near in ready:
                    time.sleep(EVERY_S)


@contextmanager
def uplink(managed: Managed, folder: Path, https: int) -> Iterator[Program]:
    pki = managed.pki.folder
    settings = {
        "kit_id": KIT,
        "spool": str(folder / "spool"),
        "mqtt_host": "127.0.0.1",
        "mqtt_port": managed.broker.port,
        "https": f"https://127.0.0.1:{https}",
        "ca": str(managed.pki.roots),
        "certificate": str(pki / f"kit-tls-{KIT}.pem"),
        "key": str(pki / f"kit-tls-{KIT}.key"),
        "retry_first_s": 0.2,
        "retry_most_s": 1.0,
        "look_every_s": 0.5,
    }
    program = Program(folder / "uplink.log", "tests.device.uplink.program", json.dumps(settings))
    try:
        yield program
    finally:
        program.stop()


def written(managed: Managed, packet_id: str) -> int:
    with managed.town.database.reading(EVERYONE) as db:
        row = db.get(Upload, packet_id)
        return row.written if row is not None else 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_kit_lost_while_it_sends_is_cut_off_and_nothing_half_done_counts(
    managed: Managed, tmp_path: Path
) -> None:
    managed.manager.agree()
    town = managed.town
    sealed = town.packet(town.plan(), parts=(*PARTS[:1], Part("photo.jpg", "image/jpeg", bytes(BYTES))))
    packet_id = sealed.manifest.packet_id
    folder = tmp_path / "kit"
    folder.mkdir()
    spool, link = Spool(folder / "spool"), SlowLink(town.ports["kits"])
    spool.offer_packet(packet_id, sealed.data)
    link.start()
    try:
        with running(town, "serve", "--only", "kits") as door, uplink(managed, folder, link.port):
            until(lambda: listens(town.ports["kits"], door), PATIENCE_S)
            until(lambda: spool.link().online, PATIENCE_S, "the session at the broker")
            until(lambda: written(managed, packet_id) > BEGUN, PATIENCE_S, "half of a packet")
            began = time.monotonic()
            ran = subprocess.run(
                [sys.executable, "-m", "provisioning", "kit", "lost", KIT, "--json",
                 "--ca", managed.pki.folder / "ca", "--fleet", town.toml],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert ran.returncode == 0, ran.stderr
            told = json.loads(ran.stdout)["effects"]
            assert {line["effect"] for line in told} == set(revocations.EFFECTS)
            assert all(line["state"] == "done" and line["after_s"] < WITHIN_S for line in told), told
            stopped_at = written(managed, packet_id)
            until(lambda: not spool.link().online, WITHIN_S, "its live session to end")
            offline_s = time.monotonic() - began
            until(
                lambda: spool.link().problem in ("refused", "certificate-refused"),
                WITHIN_S,
                "the kit to say so",
            )
            log.info("effects %s; offline %.1f, said so %.1f s", told, offline_s, time.monotonic() - began)
            time.sleep(1.0)
            assert written(managed, packet_id) == stopped_at < len(sealed.data), "not a byte was taken since"
            assert spool.uploaded() == []
            assert spool.offered() == [packet_id], "the kit keeps what it has"
            assert KitCaller(town, name=OTHER_KIT).call("GET", "/kit/v1/inbox")[0] == 200
    finally:
        link.end()
    with town.database.reading(EVERYONE) as db:
        assert db.scalar(query(func.count()).select_from(Application)) == 0
        assert db.get_one(Upload, packet_id).state == "open"
    assert (town.dock.parts / packet_id).exists()
    assert uploads.sweep(town.database, town.dock, utc_now() + uploads.KEPT + timedelta(days=1)) == 1
    assert not (town.dock.parts / packet_id).exists()
