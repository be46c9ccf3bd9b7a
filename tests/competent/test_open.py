"""thuisloket-open as its users see it: arguments in, exit status, JSON and files out."""

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner

from competent.__main__ import app
from competent.keys import CMS_KEYS, make_keys
from competent.opening import write_parts
from competent.trust import read_private_key
from protocol.instant import write_instant
from protocol.sealed.outer import LARGEST, read_outer
from protocol.sealed.packet import BadPacket, open_packet
from protocol.sealed.recipients import cms_recipient
from tests.competent.place import NOW
from tests.protocol.certificates import authority
from tests.protocol.sealed.application import PARTS, build_world


def run(desk, packet, *more, out="out", key="current.age"):
    arguments = [
        str(packet),
        "--key",
        str(desk.keys / key),
        "--trust",
        str(desk.trust),
        "--out",
        str(desk.folder / out),
        "--json",
    ]
    return CliRunner().invoke(app, [*arguments, *more])


def nothing_written(desk, out="out"):
    return not (desk.folder / out).exists() and not list(desk.folder.glob(".opening-*"))


@pytest.mark.parametrize("key", ["current.age", "next.age"])
def test_a_packet_is_opened_with_each_key_of_the_service(desk, key):
    sealed = desk.packet(flags=("test-trust",))
    done = run(desk, desk.file(sealed), key=key)
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["verdict"] == "opened"
    assert answer["packet_id"] == sealed.manifest.packet_id
    assert answer["manifest_sha256"] == sealed.manifest_sha256
    assert answer["flags"] == ["test-trust"]
    assert answer["test"]
    assert done.stderr.startswith("TEST: ")
    out = desk.folder / "out"
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.name != "manifest.json"} == {
        part.name: part.data for part in PARTS
    }
    assert json.loads((out / "manifest.json").read_bytes())["packet_id"] == sealed.manifest.packet_id
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}
    assert out.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("flags", "test"),
    [((), False), (("poor-capture",), False), (("test-recipients",), True), (("example-picture",), True)],
)
def test_what_was_made_in_a_trial_is_never_opened_without_a_word(desk, flags, test):
    done = run(desk, desk.file(desk.packet(flags=flags)))
    assert json.loads(done.stdout)["test"] is test
    assert ("TEST" in done.stderr) is test


def test_an_empty_folder_may_be_waiting(desk):
    (desk.folder / "out").mkdir()
    assert run(desk, desk.file(desk.packet())).exit_code == 0
    assert (desk.folder / "out" / "photo.jpg").exists()


def test_the_console_command_says_the_same(desk):
    command = Path(sys.executable).with_name("thuisloket-open")
    packet = desk.file(desk.packet())
    arguments = [
        "--key",
        desk.keys / "current.age",
        "--trust",
        desk.trust,
        "--out",
        desk.folder / "new" / "out",
    ]
    done = subprocess.run([command, packet, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"3 parts in {desk.folder / 'new' / 'out'}\n")
    packet.write_bytes(packet.read_bytes()[:-1])
    done = subprocess.run([command, packet, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert "truncated" in done.stderr


@pytest.mark.filterwarnings("ignore::UserWarning")  # what a changed certificate makes cryptography say
def test_a_refused_packet_leaves_a_code_and_nothing_else(desk):
    sealed = desk.packet()
    packet = desk.file(sealed)
    for at in range(0, len(sealed.data), 997):
        changed = bytearray(sealed.data)
        changed[at] ^= 0x10
        packet.write_bytes(changed)
        done = run(desk, packet)
        assert done.exit_code == 3
        answer = json.loads(done.stdout)
        assert answer["verdict"] == "refused"
        assert answer["code"] in done.stderr
        assert nothing_written(desk)


def test_reasons_reach_the_answer(desk, tmp_path):
    sealed = desk.packet()
    packet = desk.file(sealed)
    stranger = build_world().identities[0]
    (desk.keys / "stranger.age").write_text(stranger + "\n")
    assert json.loads(run(desk, packet, key="stranger.age").stdout)["code"] == "wrong-recipient"
    old = desk.file(desk.packet(created_utc="2026-01-02T03:04:05Z"))
    assert json.loads(run(desk, old).stdout)["code"] == "too-old"
    assert run(desk, old, "--at", "2026-01-03T00:00:00Z").exit_code == 0
    (desk.trust / "root.pem").write_bytes(authority("another").certificate.public_bytes(Encoding.PEM))
    assert json.loads(run(desk, packet, out="out2").stdout)["code"] == "certificate-untrusted"


def test_explain_prints_the_manifest_and_needs_no_key(desk):
    sealed = desk.packet()
    done = CliRunner().invoke(app, [str(desk.file(sealed)), "--explain"])
    assert done.exit_code == 0
    answer = json.loads(done.stdout)
    assert answer["manifest_sha256"] == sealed.manifest_sha256
    assert answer["manifest"]["kit_id"] == "kit-brugge-01"
    assert CliRunner().invoke(app, ["/dev/null", "--explain"]).exit_code == 3


@pytest.mark.filterwarnings("ignore::UserWarning")  # what a changed certificate makes cryptography say
def test_a_flipped_bit_in_any_part_of_the_packet_is_refused(desk):
    """One byte in forty of what lies before the sealed files, and a hundred places of those."""
    sealed = desk.packet()
    start = read_outer(sealed.data).payload_offset
    places = [*range(0, start, 40), *random.Random(4).sample(range(start, len(sealed.data)), 100)]
    world = desk.world
    for at in places:
        changed = bytearray(sealed.data)
        changed[at] ^= 1 << at % 8
        with pytest.raises(BadPacket):
            open_packet(bytes(changed), world.identities, world.roots, world.roots, NOW)


def test_a_packet_of_a_service_that_takes_cms_is_opened_with_its_key_in_pem(desk):
    make_keys(desk.keys, "be.ibz.belpic", NOW, timedelta(days=30), "cms-p256-gcm")
    private = [read_private_key(desk.keys / name) for name in CMS_KEYS]
    world = replace(desk.world, recipients=tuple(cms_recipient(key.public_key()) for key in private))
    sealed = world.packet(suite="cms-p256-gcm", created_utc=write_instant(NOW))
    for at, name in enumerate(CMS_KEYS):
        done = run(desk, desk.file(sealed), key=name, out=f"out{at}")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["suite"] == "cms-p256-gcm"
        assert (desk.folder / f"out{at}" / "photo.jpg").read_bytes() == PARTS[1].data
    assert json.loads(run(desk, desk.file(sealed)).stdout)["code"] == "wrong-recipient"
    assert (
        json.loads(run(desk, desk.file(desk.packet()), key=CMS_KEYS[0]).stdout)["code"] == "wrong-recipient"
    )


def test_a_group_is_shredded_and_what_is_left_opens_when_asked_for(desk):
    packet = desk.file(desk.packet())
    left = desk.folder / "left.packet"
    arguments = ["--shred", "biometric", "--out", str(left), "--json"]
    done = CliRunner().invoke(app, [str(packet), *arguments])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"verdict": "shredded", "groups": ["biometric"]}
    assert left.stat().st_mode & 0o777 == 0o600
    assert json.loads(run(desk, left).stdout)["code"] == "group-missing"
    assert nothing_written(desk)
    answer = json.loads(run(desk, left, "--shredded").stdout)
    assert answer["shredded"] == ["biometric"]
    assert [part["name"] for part in answer["parts"]] == ["identity.json"]
    assert sorted(path.name for path in (desk.folder / "out").iterdir()) == ["identity.json", "manifest.json"]
    again = CliRunner().invoke(app, [str(packet), *arguments])
    assert (again.exit_code, json.loads(again.stdout)["code"]) == (1, "out-in-use")
    packet.write_bytes(packet.read_bytes()[:-1])
    cut = CliRunner().invoke(app, [str(packet), "--shred", "identity", "--out", str(desk.folder / "new")])
    assert cut.exit_code == 3
    assert not (desk.folder / "new").exists()
    nowhere = str(desk.folder / "none" / "new")
    assert CliRunner().invoke(app, [str(left), "--shred", "identity", "--out", nowhere]).exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["x", "--shred", "identity"],
        ["x", "--shred", "photo", "--out", "y"],
        [],
        ["x"],
        ["x", "--key", "k", "--out", "o"],
        ["x", "--unknown"],
        ["x", "--explain", "--at", "noon"],
    ],
)
def test_a_wrong_call_is_usage(arguments, desk, monkeypatch):
    monkeypatch.chdir(desk.folder)
    Path("x").write_bytes(desk.packet().data)
    assert CliRunner().invoke(app, arguments).exit_code == 2


def failed(done):
    assert done.exit_code == 1, done.output
    answer = json.loads(done.stdout)
    assert answer["verdict"] == "failed"
    assert answer["remedy"]
    return answer["code"]


def test_what_keeps_the_tool_from_working_is_no_refusal(desk):
    packet = desk.file(desk.packet())
    assert failed(run(desk, desk.folder / "none.packet")) == "cannot-read"
    assert failed(run(desk, packet, key="none.age")) == "cannot-read"
    (desk.folder / "out").mkdir()
    (desk.folder / "out" / "mine").write_text("keep")
    assert failed(run(desk, packet)) == "out-in-use"
    assert (desk.folder / "out" / "mine").read_text() == "keep"
    (desk.folder / "link").symlink_to(desk.folder / "trust")
    assert failed(run(desk, packet, out="link")) == "out-in-use"
    assert failed(run(desk, packet, out=f"{packet.name}/out")) == "cannot-write"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# only a remark\n",
        b"AGE-SECRET-KEY-PQ-1XX\n",
        b"\xff",
        b"x" * 300_000,
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ],
    ids=["empty", "remark", "no key", "not text", "too long", "no PEM"],
)
def test_a_key_file_that_holds_no_identity_is_said_so(desk, content):
    (desk.keys / "bad.age").write_bytes(content)
    assert failed(run(desk, desk.file(desk.packet()), key="bad.age")) in {"bad-key-file", "cannot-read"}


def test_a_trust_folder_without_roots_is_said_so(desk):
    packet = desk.file(desk.packet())
    root = desk.trust / "root.pem"
    kept = root.read_bytes()
    for content in (b"", b"x", desk.world.kit.certificate.public_bytes(Encoding.PEM)):
        root.write_bytes(content)
        assert failed(run(desk, packet)) == "no-trust"
    root.unlink()
    assert failed(run(desk, packet)) == "no-trust"
    desk.trust.rmdir()
    assert failed(run(desk, packet)) == "trust-unreadable"
    desk.trust.mkdir()
    (desk.trust / "root.der").write_bytes(desk.world.root.certificate.public_bytes(Encoding.DER))
    (desk.trust / "README").write_bytes(kept)
    assert run(desk, packet).exit_code == 0


def test_a_file_larger_than_any_packet_is_refused(desk):
    packet = desk.folder / "huge.packet"
    with packet.open("wb") as file:
        file.truncate(LARGEST + 1)
    done = run(desk, packet)
    assert (done.exit_code, json.loads(done.stdout)["code"]) == (3, "too-large")


def test_a_failure_while_writing_leaves_nothing(desk, monkeypatch):
    sealed = desk.packet()
    world = desk.world
    opened = open_packet(sealed.data, world.identities, world.roots, world.roots, NOW)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exception, match="cannot-write"):
        write_parts(opened, desk.folder / "out")
    assert nothing_written(desk)


def test_ctrl_c_ends_it_as_cancelled(desk):
    fifo = desk.folder / "fifo"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [Path(sys.executable).with_name("thuisloket-open"), fifo, "--explain"], stderr=subprocess.DEVNULL
    )
    with fifo.open("wb"):
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
