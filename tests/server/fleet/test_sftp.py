"""Packets for a service with an SFTP server: dropped whole, answered by a file, whatever happens between."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from server.fleet.forwarding.answers import Failed, Later, Receipted, Unknown
from server.fleet.forwarding.connectors import Connectors
from server.fleet.forwarding.sftp import Sftp
from server.settings import Service
from server.settings import Sftp as SftpSettings
from tests.server.fleet.service_stand import Stand
from tests.server.fleet.test_forwarding import Way, forwarder
from tests.server.town import SERVICE, Town
from tests.sshd import Sshd

PACKET = "01K0000000000000000000PACK"
DATA = bytes(range(256)) * 600


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    made = Sshd(tmp_path_factory.mktemp("ssh") / "d")
    made.start()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def empty(server: Sshd) -> None:
    for file in server.drop.rglob("*"):
        if file.is_file():
            file.unlink()


def settings(server: Sshd, folder: Path) -> Service:
    return Service(
        sftp=SftpSettings(
            host="127.0.0.1",
            port=server.port,
            user=server.user,
            key=server.key,
            known_hosts=server.known_hosts,
        ),
        recipients=folder / "recipients.jws",
        list_key=folder / "list-key.pem",
    )


@pytest.fixture
def line(server: Sshd, tmp_path: Path) -> Sftp:
    made = settings(server, tmp_path)
    assert made.sftp is not None
    return Sftp(made, made.sftp)


def test_a_packet_lies_there_whole_before_its_manifest_and_leaves_no_part(server: Sshd, line: Sftp) -> None:
    assert isinstance(line.offer(PACKET, DATA), Later)
    assert sorted(path.name for path in (server.drop / "in").iterdir()) == [
        f"{PACKET}.json",
        f"{PACKET}.sealed",
    ]
    assert (server.drop / "in" / f"{PACKET}.sealed").read_bytes() == DATA
    manifest = json.loads((server.drop / "in" / f"{PACKET}.json").read_text())
    assert manifest == {
        "packet_id": PACKET,
        "size": len(DATA),
        "sha256": hashlib.sha256(DATA).hexdigest(),
    }


def test_offering_it_again_over_a_try_that_was_cut_gives_the_same(server: Sshd, line: Sftp) -> None:
    (server.drop / "in" / f".{PACKET}.sealed.part").write_bytes(b"half")
    (server.drop / "in" / f"{PACKET}.sealed").write_bytes(b"half")
    assert isinstance(line.offer(PACKET, DATA), Later)
    assert isinstance(line.offer(PACKET, DATA), Later)
    assert len(list((server.drop / "in").iterdir())) == 2
    assert (server.drop / "in" / f"{PACKET}.sealed").read_bytes() == DATA


def test_the_answer_is_fetched_when_it_is_there(server: Sshd, line: Sftp) -> None:
    line.offer(PACKET, DATA)
    assert isinstance(line.ask(PACKET), Later)
    for suffix in ("sealed", "json"):
        (server.drop / "in" / f"{PACKET}.{suffix}").rename(server.drop / "taken" / f"{PACKET}.{suffix}")
    assert isinstance(line.ask(PACKET), Later)
    (server.drop / "out" / f"{PACKET}.jws").write_text("a.b.c\n")
    assert line.ask(PACKET) == Receipted("a.b.c")


def test_a_packet_the_service_has_lost_is_unknown(line: Sftp) -> None:
    assert line.ask(PACKET) == Unknown()


@pytest.mark.parametrize(
    ("content", "code"), [(b"\xff\xfe", "answer-malformed"), (b"x" * 70_000, "answer-too-long")]
)
def test_an_answer_that_is_none_is_refused(server: Sshd, line: Sftp, content: bytes, code: str) -> None:
    (server.drop / "out" / f"{PACKET}.jws").write_bytes(content)
    assert line.ask(PACKET) == Failed(code)


@pytest.mark.parametrize("name", ["x; rm -rf in", "../etc/passwd", "01K!", ""])
def test_only_a_packets_id_becomes_a_name(line: Sftp, name: str) -> None:
    assert line.ask(name) == Failed("bad-packet-id")
    assert line.offer(name, DATA) == Failed("bad-packet-id")


def test_a_server_with_another_key_gets_nothing(server: Sshd, line: Sftp, tmp_path: Path) -> None:
    other = tmp_path / "known_hosts"
    other.write_text(f"[127.0.0.1]:{server.port} {server.key.with_suffix('.pub').read_text()}")
    made = settings(server, tmp_path)
    assert made.sftp is not None
    there = msgspec.structs.replace(made.sftp, known_hosts=other)
    assert Sftp(made, there).offer(PACKET, DATA) == Failed("sftp-unreachable")
    assert list((server.drop / "in").iterdir()) == []


def test_a_folder_that_is_missing_or_a_server_that_is_away_is_no_answer(
    server: Sshd, line: Sftp, tmp_path: Path
) -> None:
    (server.drop / "in").rename(server.drop / "elsewhere")
    assert line.offer(PACKET, DATA) == Failed("sftp-refused")
    (server.drop / "elsewhere").rename(server.drop / "in")
    server.stop()
    try:
        assert line.offer(PACKET, DATA) == Failed("sftp-unreachable")
    finally:
        server.start()


def test_an_application_goes_by_sftp_from_upload_to_receipt(town: Town, server: Sshd) -> None:
    held = town.config.services[SERVICE]
    there = settings(server, Path("/nowhere"))
    own = Service(sftp=there.sftp, recipients=held.recipients, list_key=held.list_key)
    connectors = Connectors({SERVICE: own})
    way = Way(town, Stand(), forwarder(town, connectors))
    assert way.go() == "offered"
    assert way.row.state == "forwarded"
    assert (server.drop / "in" / f"{way.packet_id}.sealed").read_bytes() == way.sealed.data
    assert way.go() == "offered"
    (server.drop / "out" / f"{way.packet_id}.jws").write_text(town.receipt(way.sealed))
    assert way.go() == "accepted"
    assert way.row.answered is not None
    assert way.row.answered <= datetime.now(UTC)
