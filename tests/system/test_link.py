"""Kit and fleet over the real link: spool, uplink process, mosquitto, fleet server, competent service."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from device.spool.spool import Spool
from protocol.bag import open_bag
from protocol.ids import new_ulid
from protocol.messages import ApplicationEvent, Birth, Health, VisitEvent, encode_body
from protocol.sealed.packet import Sealed
from protocol.topics import Tail
from server.db.scope import EVERYONE
from server.db.tables import Application, Kit, Message, Visit
from tests.mosquitto import Mosquitto, until
from tests.server.programs import Program, count, listens, service
from tests.server.town import KIT, Ground, Town, make_ground, served_by

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

PATIENCE_S = 90.0  # a loaded machine starts programs slowly; nothing here waits that long otherwise

BIRTH = Birth(
    version="0.1.0",
    started="2026-11-23T08:00:00Z",
    peripherals=(),
    certificate_until="2026-12-23T08:00:00Z",
    protection="reduced",
    test_trust=True,
)
HEALTH = Health(
    battery=77,
    mains=False,
    temperature_c=None,
    disk_free_mb=1000,
    peripherals={"card": "ok"},
    sealed_waiting=0,
    oldest_waiting_s=0,
    reports_waiting=0,
    in_visit=False,
    uptime_s=10,
)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture
def town(tmp_path: Path, ground: Ground) -> Iterator[Town]:
    made = Town(tmp_path / "town", ground)
    yield made
    made.close()


@pytest.fixture
def broker(town: Town) -> Iterator[Mosquitto]:
    with served_by(town, Mosquitto(town.folder / "broker", town.ground.pki)) as made:
        yield made


class Fleet:
    """The parts of the fleet server that a kit meets: the listener, the MQTT worker, the job worker."""

    PARTS = (("serve", "--only", "kits"), ("ingest",), ("work",))

    def __init__(self, town: Town) -> None:
        self._town = town
        self._programs: list[Program] = []

    def start(self) -> None:
        for part in self.PARTS:
            log = self._town.folder / f"{part[0]}.log"
            self._programs.append(Program(log, "server", *part, "--config", str(self._town.toml)))
        until(lambda: listens(self._town.ports["kits"], self._programs[0]), PATIENCE_S, "the listener")

    def kill(self) -> None:
        for program in self._programs:
            for child in program.children():
                os.kill(child, signal.SIGKILL)
            program.kill()
        self._programs.clear()

    def stop(self) -> None:
        for program in self._programs:
            program.stop()
        self._programs.clear()


@pytest.fixture
def fleet(town: Town, broker: Mosquitto) -> Iterator[Fleet]:
    made = Fleet(town)
    yield made
    made.stop()


class Uplink:
    """The uplink process of the town's kit, and the agent's side of its spool."""

    def __init__(self, town: Town, **changes: object) -> None:
        self.spool = Spool(town.folder / "spool")
        self.log = town.folder / "uplink.log"
        pki = town.ground.pki
        self._settings = {
            "kit_id": KIT,
            "spool": str(town.folder / "spool"),
            "mqtt_host": "127.0.0.1",
            "mqtt_port": town.ports["mqtt"],
            "https": f"https://127.0.0.1:{town.ports['kits']}",
            "ca": str(pki.roots),
            "certificate": str(pki.folder / f"kit-tls-{KIT}.pem"),
            "key": str(pki.folder / f"kit-tls-{KIT}.key"),
            "will_delay_s": 1,
            "retry_most_s": 1.0,
            "receipt_s": 3.0,
            "inbox_every_s": 5.0,
            "piece_bytes": 1024,
            **changes,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, env: Mapping[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "tests.device.uplink.program", json.dumps(self._settings)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, env=env)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(20)
        self.process = None
        return code

    def close(self) -> None:
        if self.process is not None:
            self.end(signal.SIGKILL)
        self.spool.close()


@pytest.fixture
def uplink(town: Town, broker: Mosquitto) -> Iterator[Uplink]:
    made = Uplink(town)
    yield made
    made.close()


def kit(town: Town) -> Kit:
    with town.database.reading(EVERYONE) as db:
        return db.get_one(Kit, KIT)


def state(town: Town, packet_id: str) -> str:
    with town.database.reading(EVERYONE) as db:
        found = db.get(Application, packet_id)
        return "" if found is None else str(found.state)


def seal_for(town: Town, visit: Visit, spool: Spool, seq: int = 1) -> Sealed:
    """What the agent does when a visit is sealed."""
    sealed = town.packet(visit, seq)
    packet_id = sealed.manifest.packet_id
    spool.offer_packet(packet_id, sealed.data)
    spool.report(Tail.VISIT, encode_body(Tail.VISIT, VisitEvent(visit.visit_id, "sealed")))
    told = ApplicationEvent(packet_id, visit.visit_id, "sealed", sealed.manifest_sha256)
    spool.report(Tail.APPLICATION, encode_body(Tail.APPLICATION, told))
    return sealed


def test_a_visit_goes_down_and_its_application_up_until_the_signed_receipt(
    town: Town, fleet: Fleet, uplink: Uplink
) -> None:
    spool = uplink.spool
    spool.show("birth", encode_body(Tail.BIRTH, BIRTH))
    spool.show("health", encode_body(Tail.HEALTH, HEALTH))
    fleet.start()
    uplink.start()
    with service(town):
        wait(lambda: spool.link().online and spool.link().fleet, "the link")
        visit = town.plan()
        wait(lambda: visit.visit_id in bag_of(town, spool), "the visit in the day bag")
        spool.report(Tail.VISIT, encode_body(Tail.VISIT, VisitEvent(visit.visit_id, "opened")))
        sealed = seal_for(town, visit, spool)
        packet_id = sealed.manifest.packet_id
        wait(lambda: spool.uploaded() == [packet_id], "the upload")
        receipts = wait(spool.receipts, "the service's receipt")
        assert [name for name, _ in receipts] == [packet_id]
        wait(lambda: spool.reports_waiting() == 0, "an empty outbox")
        wait(lambda: state(town, packet_id) == "accepted", "the fleet to know")
        assert count(town)["accepted"] == 1
    wait(lambda: kit(town).birth and kit(town).health, "birth and health")
    assert kit(town).health["battery"] == 77
    assert kit(town).presence == "online"
    spool.drop_receipt(packet_id)
    spool.withdraw_packet(packet_id)
    assert uplink.end() == 0
    wait(lambda: kit(town).presence == "off", "off")
    with town.database.reading(EVERYONE) as db:
        assert len(list(db.scalars(select(Message)))) == 3


def test_broker_fleet_and_uplink_are_killed_in_turn_and_all_arrives_once(
    town: Town, broker: Mosquitto, fleet: Fleet, uplink: Uplink
) -> None:
    spool, chance = uplink.spool, random.Random(5)
    visits = [town.plan(hour=9 + number) for number in range(3)]
    packets = [seal_for(town, visit, spool, seq) for seq, visit in enumerate(visits, 1)]
    ids = sorted(packet.manifest.packet_id for packet in packets)
    uplink.start()
    with service(town):
        for _ in range(2):
            fleet.start()
            time.sleep(chance.random())
            uplink.end(signal.SIGKILL)
            broker.kill()
            uplink.start()
            time.sleep(chance.random())
            broker.start()
            time.sleep(chance.random())
            fleet.kill()
        fleet.start()
        wait(lambda: sorted(spool.uploaded()) == ids, "the uploads")
        wait(lambda: sorted(name for name, _ in spool.receipts()) == ids, "the receipts")
        wait(lambda: spool.reports_waiting() == 0, "an empty outbox")
        wait(lambda: {state(town, name) for name in ids} == {"accepted"}, "the fleet to know")
        assert count(town)["distinct"] == 3
    with town.database.reading(EVERYONE) as db:
        assert len(list(db.scalars(select(Message)))) == 6


def test_a_kit_that_vanishes_is_lost_and_its_old_will_says_nothing_of_its_return(
    town: Town, fleet: Fleet, uplink: Uplink
) -> None:
    fleet.start()
    uplink.start()
    wait(lambda: kit(town).presence == "online", "online")
    first = kit(town).session
    uplink.end(signal.SIGKILL)
    wait(lambda: kit(town).presence == "lost", "the will")
    uplink.start()
    wait(lambda: kit(town).presence == "online", "online again")
    assert kit(town).session > first
    second = kit(town).session
    uplink.end(signal.SIGKILL)
    uplink.start()
    wait(lambda: kit(town).session > second and kit(town).presence == "online", "a quick return")
    time.sleep(2)
    assert kit(town).presence == "online"


def test_a_packet_that_is_not_what_it_says_is_refused_with_a_code_and_kept(
    town: Town, fleet: Fleet, uplink: Uplink
) -> None:
    spool = uplink.spool
    sealed = town.packet(town.plan())
    damaged = bytearray(sealed.data)
    damaged[-1] ^= 1
    spool.offer_packet(sealed.manifest.packet_id, bytes(damaged))
    spool.offer_packet(new_ulid(), b"no packet at all")
    fleet.start()
    uplink.start()
    wait(lambda: len(spool.refused()) == 2, "two refusals")
    assert all(code for _, code in spool.refused())
    assert len(spool.offered()) == 2
    good = seal_for(town, town.plan(hour=11), spool)
    wait(lambda: spool.uploaded() == [good.manifest.packet_id], "the good one")


def bag_of(town: Town, spool: Spool) -> set[str]:
    """The visits in the newest bag on the kit, opened as the agent does."""
    held = spool.bag()
    if held is None:
        return set()
    bag = open_bag(held[1], town.ground.bag[0], town.command_keys).bag
    assert bag.version == held[0]
    return {planned.visit_id for planned in bag.visits}


def wait(true: Callable[[], object], what: str) -> Any:
    return until(true, PATIENCE_S, what)
