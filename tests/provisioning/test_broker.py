"""The broker's configuration, judged by a real mosquitto and certificates of every kind."""

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from protocol import access
from protocol.topics import FLEET_LISTENS
from provisioning import broker
from server.broker import members
from tests.mosquitto import Client, Mosquitto, until
from tests.pki import Files, Pki

DENIED = 0x87
NOBODY = 0x10


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path_factory.mktemp("mosquitto"), pki)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def connect(mosquitto: Mosquitto, pki: Pki) -> Iterator[object]:
    clients: list[Client] = []

    def make(role: str, name: str, client_id: str | None = None, files: Files | None = None) -> Client:
        files = files or pki.issue(role, name)
        clients.append(Client(mosquitto.port, pki.roots, files, client_id or name))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def test_a_kit_speaks_under_its_own_name_and_no_other(connect) -> None:
    worker = connect("ingest", "fleet-ingest-1").listen(*FLEET_LISTENS)
    until(lambda: worker.reason == 0)
    kit = connect("kit-tls", "kit-one")
    assert kit.say("tl/v1/kit/kit-one/up/evt/visit", b"mine") == 0
    assert kit.say("tl/v1/kit/kit-one/state/presence", b"mine") == 0
    for topic in (
        "tl/v1/kit/kit-two/up/evt/visit",
        "tl/v1/kit/kit-two/state/presence",
        "tl/v1/kit/kit-one/down/rcpt",
        "tl/v1/kit/kit-two/down/rcpt",
        "tl/v1/fleet/state",
        "anything",
        "$SYS/broker/uptime",
    ):
        assert kit.say(topic, b"not mine") == DENIED, topic
    until(lambda: len(worker.heard) == 2)
    assert {heard.payload for heard in worker.heard} == {b"mine"}


def test_a_kit_hears_only_what_is_for_it_whatever_it_asks_for(connect) -> None:
    spy = connect("kit-tls", "kit-spy").listen("#", "tl/v1/kit/+/down/#", "tl/v1/kit/+/up/#", "$SYS/#")
    spy.listen("$share/ingest/tl/v1/kit/+/up/#", "tl/v1/kit/kit-one/down/rcpt", "tl/v1/fleet/state")
    until(lambda: len(spy.granted) == 7, what="SUBACK")
    assert spy.granted == [DENIED] * 6 + [1]
    kit = connect("kit-tls", "kit-one").listen("tl/v1/kit/kit-one/down/rcpt", "tl/v1/fleet/state")
    worker = connect("ingest", "fleet-ingest-1").listen("tl/v1/kit/+/up/evt/+")
    until(lambda: spy.reason == kit.reason == worker.reason == 0)
    time.sleep(0.2)
    worker.say("tl/v1/kit/kit-one/down/rcpt", b"for one")
    worker.say("tl/v1/fleet/state", b"for all")
    kit.say("tl/v1/kit/kit-one/up/evt/visit", b"up")
    until(lambda: len(kit.heard) == 2)
    until(lambda: len(worker.heard) == 1)
    time.sleep(0.3)
    assert {heard.payload for heard in spy.heard} == {b"for all"}


def test_the_certificate_is_the_client_id_so_nobody_takes_over_a_session(connect, pki: Pki) -> None:
    victim = connect("kit-tls", "kit-victim")
    until(lambda: victim.reason == 0)
    thief = connect("kit-tls", "kit-thief", client_id="kit-victim")
    until(lambda: thief.reason == 0)
    time.sleep(0.3)
    assert not victim.gone.is_set()
    assert thief.say("tl/v1/kit/kit-victim/up/evt/visit", b"x") == DENIED
    assert thief.say("tl/v1/kit/kit-thief/up/evt/visit", b"x") in (0, NOBODY)
    assert victim.say("tl/v1/kit/kit-victim/up/evt/visit", b"x") in (0, NOBODY)


def handshake(port: int, roots: Path, files: Files | None) -> bytes:
    """A TLS 1.3 handshake and a CONNECT; what the broker answers, empty when it hangs up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(roots)
    if files is not None:
        context.load_cert_chain(files.certificate, files.key)
    with socket.create_connection(("127.0.0.1", port), 5) as raw:
        try:
            with context.wrap_socket(raw, server_hostname="127.0.0.1") as secured:
                secured.sendall(b"\x10\x11\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x04kit1")
                return secured.recv(64)
        except (ssl.SSLError, ConnectionError):
            return b""


def test_a_kit_is_let_in_and_a_stranger_is_not(mosquitto: Mosquitto, pki: Pki, tmp_path: Path) -> None:
    other = Pki(tmp_path / "other", "Elsewhere")
    revoked = pki.issue("kit-tls", "kit-revoked")
    serial = subprocess.run(
        ["openssl", "x509", "-in", revoked.certificate, "-noout", "-serial"], capture_output=True, text=True
    ).stdout.partition("=")[2]
    assert handshake(mosquitto.port, pki.roots, revoked)[:1] == b"\x20"
    pki.authority.revoke(serial, "key-compromise")
    pki.write_revoked()
    mosquitto.reload()
    until(lambda: not handshake(mosquitto.port, pki.roots, revoked), what="the revocation to take effect")
    assert handshake(mosquitto.port, pki.roots, pki.issue("kit-tls", "kit-good"))[:1] == b"\x20"
    for stranger in (
        None,
        other.issue("kit-tls", "kit-good"),
        pki.issue("server", "fleet.example"),
        pki.issue("broker", "broker.example"),
        pki.issue("service", "service.example"),
        pki.issue("officer", "kit-good"),
    ):
        assert handshake(mosquitto.port, pki.roots, stranger) == b"", stranger


def test_nothing_older_than_tls_1_3_is_spoken(mosquitto: Mosquitto, pki: Pki) -> None:
    files = pki.issue("kit-tls", "kit-old")
    ran = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{mosquitto.port}", "-tls1_2",
         "-cert", files.certificate, "-key", files.key, "-CAfile", pki.roots],
        input="", capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert "protocol version" in ran.stderr


def test_it_listens_on_the_loopback_alone(mosquitto: Mosquitto) -> None:
    assert mosquitto.process is not None
    listing = subprocess.run(["ss", "-Htlnp"], capture_output=True, text=True, check=True).stdout
    ours = [line.split()[3] for line in listing.splitlines() if f"pid={mosquitto.process.pid}," in line]
    assert ours == [f"127.0.0.1:{mosquitto.port}"]


def test_what_was_saved_survives_a_kill(tmp_path: Path, pki: Pki) -> None:
    made = Mosquitto(tmp_path / "mosquitto", pki)
    made.start()
    sleeper_files, kit_files = pki.issue("ingest", "fleet-ingest-1"), pki.issue("kit-tls", "kit-one")
    sleeper = Client(made.port, pki.roots, sleeper_files, "fleet-ingest-1").listen("tl/v1/kit/+/up/evt/+")
    time.sleep(0.3)
    sleeper.client.disconnect()
    kit = Client(made.port, pki.roots, kit_files, "kit-one")
    for number in range(10):
        assert kit.say("tl/v1/kit/kit-one/up/evt/visit", b"%d" % number) == 0
    kit.close()
    sleeper.close()
    time.sleep(broker.SAVED_EVERY_S + 2.5)
    made.kill()
    made.start()
    awake = Client(made.port, pki.roots, sleeper_files, "fleet-ingest-1")
    until(lambda: len(awake.heard) == 10)
    awake.close()
    made.stop()


def test_who_may_do_what_survives_a_kill_at_once(tmp_path: Path, pki: Pki) -> None:
    """The dynamic security plugin has a file of its own, written at every change."""
    files = pki.issue("kit-tls", "kit-new")
    made = Mosquitto(tmp_path / "mosquitto", pki, kits=())
    made.start()
    with made.managed() as control:
        members.admit(control, "kit-new")
    made.kill()
    made.start()
    kit = Client(made.port, pki.roots, files, "kit-new")
    assert kit.say("tl/v1/kit/kit-new/up/evt/visit", b"0") == NOBODY  # allowed, and nobody listens
    kit.close()
    with made.managed() as control:
        members.dismiss(control, "kit-new")
    made.kill()
    made.start()
    kit = Client(made.port, pki.roots, files, "kit-new")
    assert kit.say("tl/v1/kit/kit-new/up/evt/visit", b"0") == DENIED
    kit.close()
    made.stop()


def test_an_oversized_message_ends_the_session_of_its_sender(connect, mosquitto: Mosquitto) -> None:
    kit = connect("kit-tls", "kit-big")
    until(lambda: kit.reason == 0)
    kit.client.publish("tl/v1/kit/kit-big/up/evt/visit", b"x" * 70_000, qos=1)
    assert kit.gone.wait(30)


def test_the_file_is_taken_by_mosquitto_of_this_machine_with_awkward_paths(tmp_path: Path, pki: Pki) -> None:
    folder = tmp_path / "een map met é en spaties"
    made = Mosquitto(folder, pki)
    made.start()
    made.stop()
    assert (folder / "mosquitto.conf").read_text().count("listener ") == 1


def test_values_that_would_start_a_line_of_their_own_are_refused(mosquitto: Mosquitto) -> None:
    for change in (
        {"addresses": ("127.0.0.1\nallow_anonymous true",)},
        {"addresses": ("",)},
        {"key": Path("/tmp/a\nallow_anonymous true")},
        {"authorities": Path("/tmp/a ")},
    ):
        with pytest.raises(ValueError, match="line"):
            broker.configuration(replace(mosquitto.settings, **change))
    for worker in ("", "kit 1", "a\ntopic write #", "#"):
        with pytest.raises(ValueError, match="worker"):
            access.first_file([worker])
    with pytest.raises(ValueError, match="kit id"):
        access.first_file([], ["kit-1/up"])


def test_root_stays_root_and_others_are_left_as_they_are(mosquitto: Mosquitto) -> None:
    assert broker.user_for(0) == "root"
    assert broker.user_for(1000) is None
    assert "user " not in broker.configuration(mosquitto.settings).replace("use_username", "")
    assert "\nuser root\n" in broker.configuration(mosquitto.settings, "root")


def test_the_program_is_there() -> None:
    assert shutil.which(broker.command(Path("x"))[0])
