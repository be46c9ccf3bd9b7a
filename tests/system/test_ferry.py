"""Where only the broker's port is let through: sealed applications in pieces, through real programs that are
killed, and over HTTPS again as soon as that does."""

import hashlib
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mosquitto import Mosquitto, until
from tests.server.programs import Program, listens
from tests.server.town import Ground, Town, make_ground
from tests.system.test_link import Uplink, seal_for, state

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

PATIENCE_S = 90.0
QUICK = {"ferry_after_s": 0.5, "connect_s": 3.0, "read_s": 3.0, "retry_first_s": 0.1, "retry_most_s": 1.0}


@dataclass
class Harbour:
    """Broker, ingest worker and uplink; the listener for HTTPS is not there until a test starts it."""

    town: Town
    broker: Mosquitto
    uplink: Uplink
    programs: dict[str, Program]

    def start(self, name: str, *argv: str) -> None:
        config = ("--config", str(self.town.toml))
        self.programs[name] = Program(self.town.folder / f"{name}.log", "server", *argv, *config)

    def kill(self, name: str) -> None:
        self.programs.pop(name).kill()

    def log(self) -> str:
        return self.uplink.log.read_text()


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture
def harbour(tmp_path: Path, ground: Ground) -> Iterator[Harbour]:
    town = Town(tmp_path / "town", ground)
    broker = Mosquitto(town.folder / "broker", ground.pki)
    town.ports["mqtt"] = broker.port
    town.write_toml()
    broker.start()
    made = Harbour(town, broker, Uplink(town, **QUICK), {})
    made.start("ingest", "ingest")
    yield made
    made.uplink.close()
    for program in made.programs.values():
        program.stop()
    broker.stop()
    town.close()


def test_kit_broker_and_worker_are_killed_in_turn_and_each_application_arrives_once(
    harbour: Harbour,
) -> None:
    town, uplink, chance = harbour.town, harbour.uplink, random.Random(7)
    packets = [seal_for(town, town.plan(hour=9 + n), uplink.spool, seq=n + 1) for n in range(3)]
    ids = sorted(packet.manifest.packet_id for packet in packets)
    uplink.start()
    until(lambda: "by-broker" in harbour.log(), PATIENCE_S, "the way through the broker")
    for _ in range(2):
        time.sleep(chance.random())
        uplink.end(signal.SIGKILL)
        uplink.start()
        time.sleep(chance.random())
        harbour.broker.kill()
        harbour.broker.start()
        time.sleep(chance.random())
        harbour.kill("ingest")
        harbour.start("ingest", "ingest")
    until(lambda: sorted(uplink.spool.uploaded()) == ids, PATIENCE_S, "the uploads")
    for packet in packets:
        assert state(town, packet.manifest.packet_id) == "uploaded"
        stored = town.folder.rglob(packet_digest(packet.data))
        assert [path.read_bytes() for path in stored if path.is_file()] == [packet.data]
    assert "Traceback" not in harbour.log()


def test_as_soon_as_https_does_the_broker_is_left_alone(harbour: Harbour) -> None:
    town, uplink = harbour.town, harbour.uplink
    first = seal_for(town, town.plan(hour=9), uplink.spool)
    uplink.start()
    until(lambda: uplink.spool.uploaded() == [first.manifest.packet_id], PATIENCE_S, "the first")
    assert "by-broker" in harbour.log()
    harbour.start("kits", "serve", "--only", "kits")
    until(lambda: listens(town.ports["kits"], harbour.programs["kits"]), PATIENCE_S, "the listener")
    until(lambda: not uplink.spool.link().problem, PATIENCE_S, "HTTPS")
    crossings = harbour.log().count("by-broker")
    second = seal_for(town, town.plan(hour=11), uplink.spool, seq=2)
    until(lambda: second.manifest.packet_id in uplink.spool.uploaded(), PATIENCE_S, "the second")
    assert harbour.log().count("by-broker") == crossings


def test_a_packet_that_is_not_what_it_says_is_refused_by_this_way_too(harbour: Harbour) -> None:
    town, uplink = harbour.town, harbour.uplink
    sealed = town.packet(town.plan())
    damaged = bytearray(sealed.data)
    damaged[-1] ^= 1
    uplink.spool.offer_packet(sealed.manifest.packet_id, bytes(damaged))
    uplink.start()
    refused = until(uplink.spool.refused, PATIENCE_S, "the refusal")
    assert dict(refused) == {sealed.manifest.packet_id: "payload-digest"}


def packet_digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
