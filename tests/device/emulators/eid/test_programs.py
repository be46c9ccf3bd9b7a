"""The emulators' programs, started as anybody starts them."""

import json
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from device.emulators import make_card
from tests.device.drivers.eid.reader import VirtualReader

SPECIFICATION = """
generation = "1.7-ec"
language = "fr"
defects = ["expired"]
[identity]
surname = "Spécimen"
birth_date = 1975-04-26
[photo]
length = 5000
"""


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "device.emulators", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def make(folder: Path, specification: str = "") -> int:
    (folder / "spec.toml").write_text(specification)
    where = ("--out", str(folder / "card"), "--pki", str(folder / "pki"))
    return make_card.main([str(folder / "spec.toml"), *where])


def test_a_card_is_made_from_a_small_file(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SPECIFICATION)
    where = ("--out", str(tmp_path / "card"), "--pki", str(tmp_path / "pki"))
    assert run("make-card", str(tmp_path / "spec.toml"), *where).returncode == 0
    identity = (tmp_path / "card" / "DF014031.bin").read_bytes()
    assert "Spécimen".encode() in identity
    assert b"26 AVR 1975" in identity
    assert b"05.07.2012" in identity
    assert (tmp_path / "card" / "DF014035.bin").stat().st_size == 5000
    assert [path.name for path in (tmp_path / "pki" / "trust").iterdir()] == ["test-root-ec.der"]
    root = (tmp_path / "pki" / "trust" / "test-root-ec.der").read_bytes()
    assert make(tmp_path, SPECIFICATION) == 0
    assert (tmp_path / "pki" / "trust" / "test-root-ec.der").read_bytes() == root  # reused


@pytest.mark.parametrize(
    "bad",
    [
        'generation = "2.0"',
        'defects = ["none such"]',
        "surname = 'in the wrong table'",
        "[identity]\nsex = 'Q'",
        "[photo]\npath = 'missing.jpg'",
        "[photo]\nwidth = 0",
        "not toml",
    ],
)
def test_a_specification_with_a_mistake_is_refused_naming_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: str
) -> None:
    assert make(tmp_path, bad) == 3
    assert capsys.readouterr().err.startswith("make-card: ")
    assert not (tmp_path / "card").exists()


def test_a_card_is_a_tcp_connection_that_answers(tmp_path: Path) -> None:
    assert make(tmp_path) == 0
    with socket.create_server(("127.0.0.1", 0)) as vpcd:
        port = vpcd.getsockname()[1]
        program = subprocess.Popen(
            [sys.executable, "-m", "device.emulators", "card", str(tmp_path / "card"), "--port", str(port)],
            stdout=subprocess.PIPE,
        )
        try:
            peer, _ = vpcd.accept()
            with peer:
                peer.settimeout(5)

                def exchange(message: str) -> bytes:
                    data = bytes.fromhex(message)
                    peer.sendall(struct.pack(">H", len(data)) + data)
                    (length,) = struct.unpack(">H", peer.recv(2))
                    return peer.recv(length)

                peer.sendall(b"\x00\x01\x01")  # power on: no answer
                assert exchange("04").hex().upper() == "3B7F96000080318065B085040120120FFF829000"
                assert exchange("80E400001C")[-2:] == b"\x90\x00"
                program.send_signal(signal.SIGINT)
                assert peer.recv(2) == b""  # pulled
            assert program.wait(30) == 0
        finally:
            program.kill()
            program.communicate()


def test_a_card_without_a_reader_says_so(tmp_path: Path) -> None:
    assert make(tmp_path) == 0
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = str(nobody.getsockname()[1])
    assert run("card", str(tmp_path / "card"), "--port", port).returncode == 4
    assert run("card", str(tmp_path / "none"), "--port", port).returncode == 3


@pytest.mark.system
def test_a_reader_takes_cards_over_its_control_socket_and_leaves_nothing_behind(tmp_path: Path) -> None:
    assert make(tmp_path) == 0
    with VirtualReader(tmp_path / "r") as reader:
        assert reader.state()["slots"] == [False] * 4
        program = subprocess.Popen(
            [
                *(sys.executable, "-m", "device.emulators", "card", str(tmp_path / "card")),
                *("--control", str(reader.control), "--slot", "1"),
            ],
            stdout=subprocess.PIPE,
        )
        assert program.stdout is not None
        assert json.loads(program.stdout.readline())["ready"]
        assert reader.state()["slots"] == [False, True, False, False]
        program.send_signal(signal.SIGTERM)
        program.communicate(timeout=5)
        assert program.returncode == 0
        assert reader.state()["slots"] == [False] * 4
        for wish in ({"do": "insert", "card": "/none"}, {"do": "dance"}, {"do": "remove", "slot": 7}):
            with pytest.raises(ValueError):
                reader.ask(**wish)
        pid = reader.pid
        assert Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    assert not reader.socket.exists()
    assert not reader.control.exists()
    assert not children_of(pid)


def children_of(pid: int) -> list[str]:
    """Processes started by `pid` that still run, after a moment for the kernel to tell them."""
    time.sleep(0.1)
    return [
        stat.split(")")[0]
        for stat in (path.read_text() for path in Path("/proc").glob("[0-9]*/stat") if path.exists())
        if stat.rsplit(")", 1)[1].split()[1] == str(pid)
    ]
