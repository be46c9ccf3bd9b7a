"""A real mosquitto on a free port of the loopback, with our configuration, and clients to test it."""

import os
import secrets
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from protocol import access
from provisioning import broker
from server.broker.control import Control
from server.broker.link import Identity, Link, Place, end_loop
from server.broker.tidy import TidySocket
from tests.pki import Files, Pki

PORTS = range(10_240, 32_768)  # below those of ip_local_port_range
USUAL_KITS = (
    *("kit-a", "kit-b", "kit-one", "kit-two", "kit-good", "kit-spy", "kit-big", "kit-victim", "kit-thief"),
    *("kit-brugge-01", "kit-brugge-02", "kit-damme-01", "kit-gone-01", "kit-test-01", "kit-other", "kit-x"),
)


def free_port() -> int:
    """A port nobody listens on, and none that the kernel gives to whoever connects somewhere: it could be
    gone by the time a program that was killed wants it back."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            port = PORTS.start + secrets.randbelow(len(PORTS))
            probe.bind(("127.0.0.1", port))
            return port


def until(true: Callable[[], object], seconds: float = 60.0, what: str = "") -> Any:
    """The first true value of `true()`; AssertionError after `seconds`: so long that a machine that does ten
    other things gets there too."""
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, f"waited {seconds} s for {what or true}"
        time.sleep(0.02)
    return value


class Mosquitto:
    """One broker; `kill` is -9, `start` again keeps port and database.

    It knows `kits`, and those that the authority had made a certificate for when it was first started."""

    def __init__(self, folder: Path, pki: Pki, kits: Iterable[str] = USUAL_KITS) -> None:
        self.pki, self.port = pki, free_port()
        files = pki.issue("broker", "broker.test")
        self.settings = broker.BrokerSettings(
            folder=folder,
            authorities=pki.clients,
            revoked=pki.revoked,
            certificate=files.certificate,
            key=files.key,
            port=self.port,
            kits=tuple(kits),
        )
        self.configuration = broker.write(self.settings)
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self._new = True

    def start(self) -> None:
        if self._new and self.settings.kits:
            self._admit_those_of_the_authority()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(broker.command(self.configuration), stdout=log, stderr=log)
        until(self._answers, what="mosquitto")

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        if self.process is not None:
            self._end(signal.SIGTERM)

    def reload(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGHUP)

    @contextmanager
    def managed(self) -> Iterator[Control]:
        """As the fleet's manager: who may do what, at once."""
        files = self.pki.issue("ingest", access.ADMIN)
        place = Place("127.0.0.1", self.port, self.pki.roots)
        with Link(place, Identity(access.ADMIN, files.certificate, files.key)) as link:
            yield Control(link)

    def _admit_those_of_the_authority(self) -> None:
        issued = {entry.name for entry, _ in self.pki.authority.issued() if entry.role == "kit-tls"}
        (self.settings.folder / "dynsec.json").unlink()
        broker.write(replace(self.settings, kits=tuple({*self.settings.kits, *issued})))
        self._new = False

    def _end(self, how: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(10)
        self.process = None

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@dataclass
class Heard:
    topic: str
    payload: bytes
    retain: bool


class Client:
    """A test client with a certificate: what it hears lies in `heard`."""

    def __init__(self, port: int, roots: Path, files: Files, client_id: str, expiry_s: int = 3600) -> None:
        self.heard: list[Heard] = []
        self.acks: dict[int, int] = {}
        self.granted: list[int] = []
        self._topics: list[tuple[str, SubscribeOptions]] = []
        self.reason: int | None = None
        self.gone = threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.sslsocket_class = TidySocket  # a broker killed in a handshake leaves no open socket behind
        context.load_verify_locations(roots)
        context.load_cert_chain(files.certificate, files.key)
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
        self.client.tls_set_context(context)
        self.client.on_connect = self._connected
        self.client.on_disconnect = lambda *_: self.gone.set()
        self.client.on_message = lambda _c, _u, m: self.heard.append(Heard(m.topic, m.payload, m.retain))
        self.client.on_subscribe = lambda _c, _u, _m, reasons, _p: self.granted.extend(
            r.value for r in reasons
        )
        self.client.on_publish = lambda _c, _u, mid, reason, _p: self.acks.__setitem__(mid, reason.value)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = expiry_s
        self.client.connect("127.0.0.1", port, 60, clean_start=False, properties=properties)
        self.client.loop_start()

    def _connected(self, _c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
        self.reason = reason.value
        if self._topics:  # a broker that was killed may have forgotten them, as the protocol says
            self.client.subscribe(self._topics)

    def listen(self, *topics: str) -> "Client":
        until(lambda: self.reason == 0, what="CONNACK")
        wanted = [(topic, SubscribeOptions(qos=1)) for topic in topics]
        self.client.subscribe(wanted)
        self._topics += wanted
        return self

    def say(self, topic: str, payload: bytes, retain: bool = False) -> int:
        """Publish at QoS 1; the reason code of its PUBACK."""
        until(lambda: self.reason == 0, what="CONNACK")
        mid = self.client.publish(topic, payload, qos=1, retain=retain).mid
        until(lambda: mid in self.acks, what="PUBACK")
        return self.acks[mid]

    def close(self) -> None:
        self.client.disconnect()
        end_loop(self.client)
