"""A canary's name and number go through a whole visit, and are found nowhere they have no business to be."""

import base64
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import httpx
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from protocol import access
from protocol.messages import MAX_BYTES, squeeze, unsqueeze
from protocol.sealed.outer import MAGIC
from provisioning.ca import Authority
from provisioning.demo import headless
from provisioning.demo.cast import Citizen
from provisioning.demo.progress import Progress
from provisioning.demo.running import Demo
from server.broker.link import end_loop
from server.broker.steward import Manager
from server.config import read
from server.db.engine import Database
from server.work import utc_now
from tests.mosquitto import until
from tests.system.conftest import Staged
from tests.system.recording import PATIENCE_S, Recorder, recording

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

CANARY = Citizen(
    key="canary",
    surname="Kanarievogelaar",
    first_names="Zwaantje Quirine",
    born=date(1947, 2, 17),
    birth_place="Ongelukkigem",
    sex="F",
    series=998,
    street="Piepzangdreef 271",
    postcode="8000",
    municipality="Brugge",
    phone="0477998877",
    language="nl",
    evidence="sworn-statement",
    note="Sleutel onder de gele bloempot",
    generation="1.8",
)
SECRETS = (
    CANARY.surname,
    CANARY.surname.upper(),
    CANARY.first_names,
    "Zwaantje",
    "Quirine",
    CANARY.national_number,
    f"{CANARY.national_number[:6]}-{CANARY.national_number[6:9]}-{CANARY.national_number[9:]}",
    CANARY.birth_place,
    CANARY.street,
    "Piepzangdreef",
    CANARY.phone,
    CANARY.note,
)


def spellings(text: str) -> set[bytes]:
    """How the text could lie somewhere: plain, JSON, UTF-16, hexadecimal, base64 at any offset."""
    found = set()
    for plain in (
        text.encode(),
        text.encode("utf-16-le"),
        text.encode("utf-16-be"),
        json.dumps(text).encode(),
    ):
        found |= {plain, plain.hex().encode(), plain.hex().upper().encode()}
        for offset in range(3):
            coded = base64.b64encode(b"\0" * offset + plain)
            # The first and last groups also hold bits of the neighbours.
            inner = coded[4 if offset else 0 : len(coded) // 4 * 4 - 4]
            if len(inner) >= 8:
                found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return found


NEEDLES = {needle: secret for secret in SECRETS for needle in spellings(secret)}


def finds(data: bytes) -> set[str]:
    return {secret for needle, secret in NEEDLES.items() if needle in data}


def finds_below(*folders: Path) -> dict[str, set[str]]:
    return {
        str(path): found
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (found := finds(path.name.encode() + b"\0" + path.read_bytes()))
    }


@dataclass(frozen=True)
class Watcher:
    """A subscriber of every topic: all it has `heard`, inflated where it was squeezed."""

    client: Client
    heard: list[bytes]

    def finds_what_is_planted(self) -> None:
        """The scan is not blind: a name in a message that is squeezed as a kit squeezes is found."""
        body = squeeze(b'{"kind":"health","note":"%s","mains":true}' % CANARY.surname.encode())
        assert body[:1] == b"z"
        assert not finds(body), "deflated it looks like nothing"
        before = len(self.heard)
        self.client.publish("thuisloket/v1/planted", body, qos=1).wait_for_publish(20)
        until(lambda: finds(b"\n".join(self.heard[before:])), 20, "the planted message")


@contextmanager
def listening_to_everything(demo: Demo) -> Iterator[Watcher]:
    """The fleet's manager makes the broker allow it."""
    layout, name = demo.world.layout, "canary-watcher"
    Authority(layout.ca).issue("ingest", name).write(layout.root / "watcher", "tls")
    config = read(layout.fleet_toml)
    with Manager(Database(config.database_url), config, utc_now).control() as control:
        rules = [
            {"acltype": kind, "topic": "#", "allow": True, "priority": 0}
            for kind in ("subscribePattern", "publishClientReceive", "publishClientSend")
        ]
        control.do(
            [
                {"command": "createRole", "rolename": name, "acls": rules},
                {"command": "createClient", **access.client(name, name)},
            ]
        )
    heard: list[bytes] = []
    subscribed = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
    context = ssl.create_default_context(cafile=str(layout.fleet / "certs" / "authorities.pem"))
    context.load_cert_chain(layout.root / "watcher" / "tls.pem", layout.root / "watcher" / "tls.key")
    client.tls_set_context(context)

    def hear(_client: Client, _data: object, message: MQTTMessage) -> None:
        heard.append(
            message.topic.encode()
            + b"\0"
            + unsqueeze(message.payload, MAX_BYTES)
            + b"\0"
            + str(message.properties).encode()
        )

    client.on_message = hear
    client.on_connect = lambda *_: client.subscribe("#", qos=1)
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", demo.world.ports["broker"])
    client.loop_start()
    try:
        assert subscribed.wait(20)
        yield Watcher(client, heard)
    finally:
        client.disconnect()
        end_loop(client)


def test_nobody_but_the_service_learns_whose_application_it_is(staged: Staged) -> None:
    with staged((CANARY,)) as demo:
        layout = demo.world.layout
        assert finds_below(layout.cards), "the search must find what is there in clear"
        with listening_to_everything(demo) as watcher, recording(demo) as said:
            packet_id = headless.play_visit(demo, Progress(lambda line: None))
            headless.check(demo, packet_id)
            time.sleep(1.0)  # the last health and receipts
            topics, bodies = b"\n".join(watcher.heard), b"".join(said.heard)
            watcher.finds_what_is_planted()
            finds_what_is_planted_in_https(demo, said)
        for part in (b"state/birth", b"state/health", b"up/evt/", b"down/rcpt", b"down/job"):
            assert part in topics, "the watcher must have heard all of the traffic"
        assert not finds(topics)
        for part in (b"PATCH /kit/v1/uploads/", MAGIC, b'"receipts"', b" 200 "):
            assert part in bodies, "the recorder must have read all of the traffic"
        assert not finds(bodies)
        places = (layout.logs, layout.fleet, layout.broker, layout.kit, layout.service, layout.run)
        assert (layout.kit / "data" / "vault.db-wal").exists()
        assert not finds_below(*places)
        demo.programs.close()
        assert not finds_below(*places), "nor after an orderly stop"
        for place in places:  # and the search looks everywhere there
            (place / "planted").write_bytes(CANARY.national_number.encode("utf-16-le"))
        assert set(finds_below(*places)) == {str(place / "planted") for place in places}


def finds_what_is_planted_in_https(demo: Demo, said: Recorder) -> None:
    """The same for what is said inside TLS between kit and fleet."""
    certs, authorities = demo.world.layout.kit / "certs", demo.world.layout.fleet / "certs/authorities.pem"
    context = ssl.create_default_context(cafile=str(authorities))
    context.load_cert_chain(certs / "kit-tls.pem", certs / "kit-tls.key")
    before = len(said.heard)
    url = f"https://127.0.0.1:{said.port}"
    with httpx.Client(base_url=url, verify=context, trust_env=False, timeout=PATIENCE_S) as client:
        client.post("/kit/v1/nowhere", json={"name": CANARY.surname})
    until(lambda: finds(b"".join(said.heard[before:])), 20, "the planted body")


def test_the_search_knows_every_disguise() -> None:
    secret = CANARY.national_number
    for hidden in (
        secret.encode(),
        secret.encode("utf-16-le"),
        b"xx" + base64.b64encode(b"name=" + secret.encode() + b";"),
        base64.urlsafe_b64encode(b"a" + secret.encode() + b"zz"),
        secret.encode().hex().encode(),
    ):
        assert secret in finds(b"before" + hidden + b"after")
    assert not finds(b"nothing of the kind")
