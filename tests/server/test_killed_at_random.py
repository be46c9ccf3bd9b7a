"""Two of each program (pages, listener for kits, ingest, job worker) on one PostgreSQL, one killed at random
again and again, while people ask, a clerk plans, and a kit sends: nothing is lost, nothing is done twice.
THUISLOKET_LONG=1: more visits, and more deaths."""

import json
import os
import random
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from protocol.ids import new_ulid
from protocol.messages import ApplicationEvent, Body, Envelope, Receipts, VisitEvent, decode, encode, instant
from protocol.sealed.packet import Sealed
from protocol.topics import Tail, kit_listens, topic_of
from provisioning import broker as configuration
from server.db.scope import EVERYONE
from server.db.tables import Application, Message, OutboxRow, Quarantined, Request, Visit
from server.fleet import visits
from tests.mosquitto import Client, Mosquitto, free_port, until
from tests.server.engines import POSTGRESQL
from tests.server.programs import KitCaller, Program, count, listens, service
from tests.server.town import KIT, Town, served_by
from tests.server.town_hall import TownHall

LONG = bool(os.environ.get("THUISLOKET_LONG"))
VISITS = 30 if LONG else 5  # one address may send 40 forms an hour
DEATHS = 60 if LONG else 4
LONGEST_S = 300.0  # eight programs that start at once on a machine that does ten other things
WORKERS = ("fleet-ingest-1", "fleet-ingest-2")

pytestmark = [pytest.mark.system, pytest.mark.timeout(3600 if LONG else 900)]


@pytest.fixture
def engine() -> str:
    return POSTGRESQL


@pytest.fixture
def broker(town: Town) -> Iterator[Mosquitto]:
    made = Mosquitto(town.folder / "broker", town.ground.pki)
    made.settings = replace(made.settings, workers=WORKERS)
    for rest in ("dynsec.json", "acl"):
        (made.settings.folder / rest).unlink(missing_ok=True)
    configuration.write(made.settings)
    with served_by(town, made):
        yield made


class Farm:
    """The eight programs; `kill` ends one as the kernel would, and starts it again."""

    def __init__(self, town: Town) -> None:
        self.town = town
        town.ground.pki.issue("ingest", WORKERS[1])
        second = town.folder / "second.toml"
        self.ports, self.pages = (town.ports["kits"], free_port()), (town.ports["web"], free_port())
        text = town.toml.read_text()
        for first_port, second_port in (self.ports, self.pages):
            text = text.replace(f"port = {first_port}", f"port = {second_port}")
        mqtt, rest = text.split("[trust]")
        mqtt = (
            mqtt.replace("ingest-fleet-ingest-1", "ingest-fleet-ingest-2") + 'client_id = "fleet-ingest-2"\n'
        )
        second.write_text(f"{mqtt}[trust]{rest}")
        self.commands = {
            f"{name}-{number}": (*argv, "--config", str(toml))
            for number, toml in enumerate((town.toml, second), 1)
            for name, argv in {
                "ingest": ("ingest",),
                "work": ("work",),
                "kits": ("serve", "--only", "kits"),
                "pages": ("serve", "--only", "pages"),
            }.items()
        }
        self.programs = {name: self.start(name) for name in self.commands}
        self.deaths: list[str] = []

    def wait(self) -> None:
        """Until all of them do their work for the first time."""
        for number in (1, 2):
            for name, port in (("kits", self.ports[number - 1]), ("pages", self.pages[number - 1])):
                program = self.programs[f"{name}-{number}"]
                until(lambda: listens(port, program), LONGEST_S, f"{name}-{number}")  # noqa: B023
            log = self.programs[f"ingest-{number}"].log
            until(lambda: "broker connected" in log.read_text(), LONGEST_S, "an ingest worker")  # noqa: B023

    def start(self, name: str) -> Program:
        return Program(self.town.folder / f"{name}.log", "server", *self.commands[name])

    def kill(self, name: str) -> None:
        self.deaths.append(name)
        self.programs[name].kill()
        self.programs[name] = self.start(name)

    def stop(self) -> None:
        for program in self.programs.values():
            program.stop()


class Kit:
    """Sends each event until it is receipted, and each packet until it is complete, as the uplink does."""

    def __init__(self, town: Town, port: int, ports: tuple[int, int]) -> None:
        self.callers = [KitCaller(town), KitCaller(town)]
        for caller, at in zip(self.callers, ports, strict=True):
            caller.port = at
        self.client = Client(port, town.ground.pki.roots, self.callers[0].files, KIT).listen(
            *kit_listens(KIT)
        )
        self.outbox: dict[str, tuple[str, bytes]] = {}

    def put(self, tail: Tail, body: Body) -> None:
        topic, seq = topic_of(KIT, tail), len(self.outbox) + 1
        now = instant(datetime.now(UTC))
        envelope = Envelope(v=1, id=new_ulid(), kit=KIT, ses=1, seq=seq, ts=now, ts_src="ntp", body=body)
        self.outbox[envelope.id] = (topic, encode(topic, envelope))

    def unheard(self) -> set[str]:
        bodies = [decode(each.topic, each.payload).body for each in list(self.client.heard)]
        return set(self.outbox) - {name for body in bodies if isinstance(body, Receipts) for name in body.ids}

    def say_all(self) -> None:
        for message_id in sorted(self.unheard()):
            self.client.say(*self.outbox[message_id])

    def upload(self, sealed: Sealed) -> None:
        """Whichever listener answers; from the beginning as often as it takes."""
        packet_id, data = sealed.manifest.packet_id, sealed.data
        wish = json.dumps({"size": len(data), "sha256": sha256(data).hexdigest()}).encode()

        def sent() -> bool:
            caller = random.choice(self.callers)
            try:
                status, _, standing = caller.call("POST", f"/kit/v1/uploads/{packet_id}", wish)
                if status != 200 or standing["state"] == "complete":
                    return status == 200
                at = standing["offset"]
                headers = {"Upload-Offset": str(at), "Upload-Generation": str(standing["generation"])}
                path = f"/kit/v1/uploads/{packet_id}"
                status, answer, _ = caller.call("PATCH", path, data[at : at + 4000], headers)
            except (OSError, HTTPException, ssl.SSLError, json.JSONDecodeError):
                time.sleep(0.2)
                return False
            return status == 204 and answer.get("Upload-State") == "complete"

        until(sent, LONGEST_S, "an upload")


def test_no_loss_and_no_double_whoever_dies(town: Town, broker: Mosquitto) -> None:
    chance = random.Random(2026)
    with service(town):
        farm = Farm(town)
        over = threading.Event()

        def reap() -> None:
            for _ in range(DEATHS):
                if over.wait(chance.uniform(0.5, 4.0)):
                    return
                farm.kill(chance.choice(sorted(farm.commands)))

        reaper = threading.Thread(target=reap)
        try:
            farm.wait()
            kit, hall = Kit(town, broker.port, farm.ports), TownHall(town, farm.pages)
            reaper.start()
            hall.sign_in()
            today = visits.local_day(datetime.now(UTC))
            for number in range(VISITS):
                visit = hall.plan(hall.ask(), KIT, today + timedelta(1 + number // 10), 8 + number % 10)
                sealed = town.packet(visit, number + 1)
                visit_id, packet_id = sealed.manifest.visit_id, sealed.manifest.packet_id
                kit.put(Tail.VISIT, VisitEvent(visit_id, "opened"))
                kit.put(Tail.VISIT, VisitEvent(visit_id, "sealed"))
                told = ApplicationEvent(packet_id, visit_id, "sealed", sealed.manifest_sha256)
                kit.put(Tail.APPLICATION, told)
                kit.say_all()
                kit.upload(sealed)
            reaper.join()

            def receipted() -> bool:
                kit.say_all()
                time.sleep(1.0)
                return not kit.unheard()

            until(receipted, LONGEST_S, "all receipts")
            until(lambda: states(town) == {"accepted": VISITS}, LONGEST_S, "all answers")
            kit.client.close()
            hall.close()
        finally:
            over.set()
            if reaper.ident is not None:
                reaper.join()
            farm.stop()
        assert len(farm.deaths) == DEATHS
        assert count(town)["accepted"] == VISITS
    with town.database.reading(EVERYONE) as db:
        assert set(db.scalars(select(Message.message_id))) == set(kit.outbox)
        assert list(db.scalars(select(Visit.state))) == ["closed"] * VISITS
        asked = select(func.count()).select_from(Request).where(Request.merged_into.is_(None))
        assert db.scalar(asked) == VISITS
        assert db.scalar(select(func.count()).select_from(Quarantined)) == 0
        assert db.scalar(select(func.count()).where(OutboxRow.queue == "forward")) == 0
    assert not list(_parts(town))


def states(town: Town) -> dict[str, int]:
    with town.database.reading(EVERYONE) as db:
        rows: Any = db.execute(select(Application.state, func.count()).group_by(Application.state))
        return dict(rows.all())


def _parts(town: Town) -> Iterator[Path]:
    folder = town.config.data / "uploads"
    return folder.iterdir() if folder.exists() else iter(())
