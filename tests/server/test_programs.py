"""The whole server as programs: broker, listener with certificates, workers, service; packet to receipt."""

import base64
import json
import os
import signal
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509

from protocol.bag import open_bag
from protocol.identity import serial_of
from protocol.ids import new_ulid
from protocol.lifecycle import ApplicationState, VisitState
from protocol.messages import (
    ApplicationEvent,
    Doorbell,
    Envelope,
    FleetState,
    Receipts,
    VisitEvent,
    decode,
    encode,
    instant,
)
from protocol.sealed.packet import Sealed
from protocol.topics import Tail, kit_listens, topic_of
from server.db.scope import EVERYONE
from server.db.tables import Application, Visit
from tests.mosquitto import Client, Mosquitto, until
from tests.pki import Pki
from tests.server.programs import (
    PATIENCE_S,
    KitCaller,
    Program,
    alive,
    count,
    listens,
    ready,
    running,
    service,
)
from tests.server.town import KIT, OTHER_KIT, PASSWORD, Town, served_by

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture
def broker(town: Town) -> Iterator[Mosquitto]:
    with served_by(town, Mosquitto(town.folder / "broker", town.ground.pki)) as made:
        yield made


def envelope(body: Any, seq: int = 1) -> Envelope:
    return Envelope(
        v=1, id=new_ulid(), kit=KIT, ses=1, seq=seq, ts=instant(datetime.now(UTC)), ts_src="ntp", body=body
    )


def upload(kit: KitCaller, sealed: Sealed) -> None:
    packet_id, data = sealed.manifest.packet_id, sealed.data
    wish = json.dumps({"size": len(data), "sha256": sha256(data).hexdigest()}).encode()
    status, _, standing = kit.call("POST", f"/kit/v1/uploads/{packet_id}", wish)
    assert status == 200
    status, headers, _ = kit.call(
        "PATCH",
        f"/kit/v1/uploads/{packet_id}",
        data,
        {"Upload-Offset": "0", "Upload-Generation": str(standing["generation"])},
    )
    assert (status, headers["Upload-State"]) == (204, "complete")


def state_of(town: Town, packet_id: str) -> str:
    with town.database.reading(EVERYONE) as db:
        return db.get_one(Application, packet_id).state


def test_one_visit_from_the_bag_to_the_receipt(town: Town, broker: Mosquitto) -> None:
    visit = town.plan()
    sealed = town.packet(visit)
    packet_id = sealed.manifest.packet_id
    kit = KitCaller(town)
    with service(town), running(town, "all") as fleet:
        ready(town, fleet)
        client = Client(broker.port, town.ground.pki.roots, kit.files, KIT).listen(*kit_listens(KIT))

        def heard(body: type) -> list[Any]:
            found = [decode(each.topic, each.payload).body for each in client.heard]
            return [each for each in found if isinstance(each, body)]

        until(
            lambda: heard(FleetState) and heard(FleetState)[-1].s == "online", PATIENCE_S, "the fleet online"
        )

        def bag() -> Any:
            return kit.call("GET", "/kit/v1/inbox?bag=0")[2]["bag"]

        got = until(bag, PATIENCE_S, "a day bag")
        opened = open_bag(base64.b64decode(got["sealed"]), town.ground.bag[0], town.command_keys).bag
        assert [line.visit_id for line in opened.visits] == [visit.visit_id]

        events = [
            envelope(VisitEvent(visit.visit_id, "opened"), 1),
            envelope(VisitEvent(visit.visit_id, "sealed"), 2),
            envelope(ApplicationEvent(packet_id, visit.visit_id, "sealed", sealed.manifest_sha256), 3),
        ]
        for each in events:
            tail = Tail.VISIT if isinstance(each.body, VisitEvent) else Tail.APPLICATION
            topic = topic_of(KIT, tail)
            client.say(topic, encode(topic, each))
        wanted = {each.id for each in events}
        until(
            lambda: wanted <= {name for rcpt in heard(Receipts) for name in rcpt.ids}, PATIENCE_S, "receipts"
        )

        bells = len(heard(Doorbell))
        upload(kit, sealed)
        until(
            lambda: state_of(town, packet_id) == ApplicationState.ACCEPTED, PATIENCE_S, "the service's answer"
        )
        until(lambda: len(heard(Doorbell)) > bells, PATIENCE_S, "a doorbell")
        inbox = kit.call("GET", f"/kit/v1/inbox?bag={got['version']}")[2]
        assert inbox["bag"] is None
        assert len(inbox["receipts"]) == 1
        done = json.dumps({"receipts": [packet_id]}).encode()
        assert kit.call("POST", "/kit/v1/inbox/done", done)[0] == 204
        assert kit.call("GET", "/kit/v1/inbox?bag=0")[2]["receipts"] == []
        with town.database.reading(EVERYONE) as db:
            assert db.get_one(Visit, visit.visit_id).state == VisitState.CLOSED
        client.close()
        began = time.monotonic()
        assert fleet.stop() == 0
        assert time.monotonic() - began < 5
    log = fleet.log.read_text()
    assert "Kanari" not in log
    assert "Persoon" not in log


def test_nothing_is_lost_when_the_fleet_is_killed_at_every_turn(town: Town, broker: Mosquitto) -> None:
    packets = [town.packet(town.plan(hour=hour), seq) for seq, hour in enumerate(range(8, 11), 1)]
    kit = KitCaller(town)
    with service(town):
        for sealed in packets:
            with running(town, "all") as fleet:
                ready(town, fleet)
                below = fleet.children()
                upload(kit, sealed)
                fleet.kill()
                until(lambda: not any(alive(pid) for pid in below), 10, "orphans to end")  # noqa: B023
        with running(town, "all") as fleet:
            ready(town, fleet)
            ids = [sealed.manifest.packet_id for sealed in packets]
            until(lambda: {state_of(town, each) for each in ids} == {"accepted"}, PATIENCE_S, "all answers")
            assert fleet.stop() == 0
        assert count(town)["accepted"] == len(packets)


def test_a_program_that_dies_is_started_again(town: Town, broker: Mosquitto) -> None:
    with running(town, "all") as fleet:
        ready(town, fleet)
        before = set(fleet.children())
        for pid in before:
            if _name(pid) == "fleet-work":
                os.kill(pid, signal.SIGKILL)
        until(
            lambda: any(_name(pid) == "fleet-work" for pid in set(fleet.children()) - before),
            PATIENCE_S,
            "work again",
        )


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except FileNotFoundError:
        return ""


@pytest.fixture
def listener(town: Town) -> Iterator[Program]:
    with running(town, "serve", "--only", "kits") as program:
        until(lambda: listens(town.ports["kits"], program), PATIENCE_S, "the listener")
        yield program


def test_the_listener_takes_only_certificates_of_kits_that_are_known(town: Town, listener: Program) -> None:
    assert KitCaller(town).call("GET", "/kit/v1/inbox?bag=0")[0] == 200
    assert KitCaller(town, "ingest", "fleet-ingest-1").call("GET", "/kit/v1/inbox?bag=0")[0] == 403
    town.ground.pki.issue("kit-tls", "kit-nobody")
    assert KitCaller(town, "kit-tls", "kit-nobody").call("GET", "/kit/v1/inbox?bag=0")[0] == 403
    assert KitCaller(town).call("GET", "/")[0] == 404
    bare = ssl.create_default_context(cafile=str(town.ground.pki.roots))
    refused = pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError))  # no timeout
    with refused, httpx.Client(verify=bare, trust_env=False, timeout=PATIENCE_S) as client:
        client.get(f"https://127.0.0.1:{town.ports['kits']}/kit/v1/inbox")


def test_a_revoked_certificate_is_refused_from_the_next_connection_on(town: Town, tmp_path: Path) -> None:
    own = Pki(tmp_path / "own")
    files = own.issue("kit-tls", OTHER_KIT)
    server = own.issue("server", "fleet.test")
    text = town.toml.read_text()
    folder = town.ground.pki.folder
    for old, new in {
        f"{folder}/server-fleet.test.pem": server.certificate,
        f"{folder}/server-fleet.test.key": server.key,
        f"{folder}/clients.pem": own.clients,
        f"{folder}/revoked.pem": own.revoked,
    }.items():
        text = text.replace(str(old), str(new))
    town.toml.write_text(text)
    kit = KitCaller(town)
    kit.context = ssl.create_default_context(cafile=str(own.roots))
    kit.context.load_cert_chain(files.certificate, files.key)
    with running(town, "serve", "--only", "kits") as program:
        until(lambda: listens(town.ports["kits"], program), PATIENCE_S, "the listener")
        assert kit.call("GET", "/kit/v1/inbox?bag=0")[0] == 200
        leaf = x509.load_pem_x509_certificates(files.certificate.read_bytes())[0]
        own.authority.revoke(serial_of(leaf))
        own.write_revoked()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            kit.call("GET", "/kit/v1/inbox?bag=0")


def test_pages_and_dashboard_live_through_the_real_server(town: Town) -> None:
    with running(town, "serve", "--only", "pages") as pages:
        url = f"http://127.0.0.1:{town.ports['web']}"

        def answers() -> bool:
            assert pages.process.poll() is None, pages.log.read_text()
            try:
                return httpx.get(f"{url}/readyz", trust_env=False, timeout=PATIENCE_S).status_code == 200
            except httpx.TransportError:
                return False

        until(answers, PATIENCE_S, "the pages")
        with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as browser:
            page = browser.get("/sign-in").text
            token = page.partition('name="form_token" value="')[2].partition('"')[0]
            form = {"form_token": token, "name": "planner.brugge", "password": PASSWORD}
            assert browser.post("/sign-in", data=form).status_code == 303
            with browser.stream("GET", "/events") as stream:
                lines = stream.iter_lines()
                first = next(line for line in lines if line.startswith("data:"))
                assert set(json.loads(first.removeprefix("data: "))) == {"kits", "visits", "applications"}
                began = time.monotonic()
                town.plan(hour=15)
                next(line for line in lines if line.startswith("data:") and "15:00" in line)
                assert time.monotonic() - began < 5
            began = time.monotonic()
            assert pages.stop() == 0
            assert time.monotonic() - began < 5
