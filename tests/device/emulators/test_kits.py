"""Light kits on a real broker and a fleet stand: they are there, are receipted, upload, and say goodbye."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol.sealed.outer import read_outer
from tests.device.uplink.fleet_stand import FleetStand, Worker
from tests.mosquitto import Mosquitto, free_port, until
from tests.pki import Pki

VECTOR = Path(__file__).parents[2] / "vectors" / "sealed" / "application.packet"
NAMES = ("kit-one", "kit-two", "kit-x")

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


class Field:
    def __init__(self, folder: Path) -> None:
        self.folder, self.pki = folder, Pki(folder / "pki")
        for name in NAMES:
            self.pki.issue("kit-tls", name)
        self.broker = Mosquitto(folder / "broker", self.pki)
        self.broker.start()
        self.stand = FleetStand(free_port(), self.pki.clients, self.pki.issue("server", "fleet.test"))
        self.stand.start()
        self.worker = Worker(self.broker.port, self.pki.roots, self.pki.issue("ingest", "fleet-ingest-1"))
        until(lambda: self.worker._client.granted, what="the worker's subscriptions")

    def start(self, *more: str | Path) -> "subprocess.Popen[str]":
        argv = ["kits", "--broker", f"127.0.0.1:{self.broker.port}", "--ca", self.pki.roots]
        argv += ["--certificates", self.pki.folder, *more]
        return subprocess.Popen(
            [sys.executable, "-m", "device.emulators", *argv], stdout=subprocess.PIPE, text=True
        )

    def run(self, *more: str | Path) -> tuple[int, list[dict[str, Any]]]:
        running = self.start(*more)
        said, _ = running.communicate(timeout=100)
        return running.returncode, [json.loads(line) for line in said.splitlines()]

    def close(self) -> None:
        self.worker.close()
        self.stand.stop()
        self.broker.stop()


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    made = Field(tmp_path)
    yield made
    made.close()


def test_kits_show_themselves_upload_are_receipted_and_say_goodbye(field: Field) -> None:
    data = VECTOR.read_bytes()
    packet = read_outer(data).manifest.packet_id
    folder = field.folder / "packets" / "kit-two"
    folder.mkdir(parents=True)
    (folder / f"{packet}.sealed").write_bytes(data)
    https = f"127.0.0.1:{field.stand.port}"
    argv = ["--count", "3", "--every", "1", "--https", https, "--packets", folder.parent, "--seconds", "4"]
    code, lines = field.run(*argv)
    assert code == 0
    assert lines[0]["kits"] == 3
    told = lines[1]
    assert (told["uploaded"], told["receipted"], told["unheard"]) == (1, 3, 0)
    assert field.stand.complete(packet, data)
    assert len(field.worker.committed) == 3
    kinds = [each["body"]["state"] for each in field.worker.committed.values()]
    assert kinds == ["opened", "sealed", "sealed"]
    until(lambda: len([said for said, _ in field.worker.presences() if said == "off"]) == 3, what="goodbye")
    assert {each["kit"] for each in field.worker.states("birth")} == set(NAMES)
    assert len(field.worker.states("health")) >= told["health"] >= 6
    assert "lost" not in {said for said, _ in field.worker.presences()}


def test_kits_come_back_to_a_broker_that_was_killed(field: Field) -> None:
    running = field.start("--count", "2", "--rate", "2", "--seconds", "600")
    assert running.stdout is not None
    assert json.loads(running.stdout.readline())["kits"] == 2
    field.broker.kill()
    field.broker.start()
    sessions = {each["kit"]: each["ses"] for each in field.worker.states("birth")}
    until(
        lambda: all(
            any(each["kit"] == kit and each["ses"] > ses for each in field.worker.states("birth"))
            for kit, ses in sessions.items()
        ),
        60,
        "both kits again",
    )
    running.terminate()
    running.communicate(timeout=60)
    assert running.returncode == 0


def test_a_folder_with_too_few_kits_is_told(field: Field) -> None:
    assert field.run("--count", "4") == (1, [])


def test_a_fleet_that_refuses_an_application_ends_in_failure(field: Field) -> None:
    data = VECTOR.read_bytes()
    packet = read_outer(data).manifest.packet_id
    folder = field.folder / "packets" / "kit-one"
    folder.mkdir(parents=True)
    (folder / f"{packet}.sealed").write_bytes(data)
    field.stand.refuse[packet] = "digest"
    https = f"127.0.0.1:{field.stand.port}"
    code, lines = field.run("--count", "1", "--https", https, "--packets", folder.parent, "--seconds", "1")
    assert (code, lines[-1]["refused"]) == (1, 1)


def test_a_run_whose_fleet_is_not_there_can_be_ended(field: Field) -> None:
    folder = field.folder / "packets" / "kit-one"
    folder.mkdir(parents=True)
    data = VECTOR.read_bytes()
    (folder / f"{read_outer(data).manifest.packet_id}.sealed").write_bytes(data)
    field.stand.stop()
    running = field.start(
        "--count", "1", "--https", f"127.0.0.1:{field.stand.port}", "--packets", folder.parent
    )
    assert running.stdout is not None
    assert json.loads(running.stdout.readline())["kits"] == 1
    until(lambda: len(field.worker.committed) == 3, 60, "what the kit tells meanwhile")
    running.terminate()
    said, _ = running.communicate(timeout=60)
    assert json.loads(said)["kits"] == 1
