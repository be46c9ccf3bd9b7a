"""The kit as a program: starts from kit.toml, serves loopback alone, ends when told, examines itself."""

import json
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest

from device.agent.clock import SystemClock
from device.agent.founding import NewOfficer
from protocol.identity import Role
from protocol.sealed import agekeys
from tests.device.agent.kit import PIN, Kit, certificate_pem, key_pem
from tests.device.agent.test_crash import free_port
from tests.protocol.certificates import authority, leaf

pytestmark = pytest.mark.system


def call(*arguments: str, told: str = "") -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "device", *arguments]
    return subprocess.run(program, input=told, capture_output=True, text=True, timeout=60, check=False)


def test_it_says_when_it_is_ready_serves_loopback_alone_and_ends_within_three_seconds(kit: Kit) -> None:
    port = free_port()
    config = kit.write_config(port)
    program = [sys.executable, "-m", "device", "run", "--config", str(config)]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        events = []
        for line in running.stderr:
            events.append(json.loads(line))
            if events[-1]["event"] == "kiosk-ready":
                break
        assert events[-1]["port"] == port
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
            assert page.status == 200
            assert "thuisloket" not in page.headers.get("Server", "").lower()
        with socket.create_connection(("127.0.0.1", port), 5):  # an idle one must not hold it up
            running.send_signal(signal.SIGTERM)
            began = time.monotonic()
            assert running.wait(10) == 0
        assert time.monotonic() - began < 3
        rest = running.stderr.read()
    assert "Traceback" not in rest


def test_without_a_vault_it_does_not_start_and_says_what_to_do(kit: Kit) -> None:
    (kit.data / "vault.db").unlink()
    ran = call("run", "--config", str(kit.write_config(free_port())))
    assert ran.returncode == 3
    assert "bad-config (remedy: workshop) there is no vault yet" in ran.stderr


def test_a_damaged_journal_ends_it_with_a_code(kit: Kit) -> None:
    with sqlite3.connect(kit.data / "vault.db") as raw:
        raw.execute(
            "CREATE TABLE journal (visit_id TEXT, n INTEGER, at TEXT, event TEXT, messages TEXT, told INT)"
        )
        raw.execute("INSERT INTO journal VALUES ('x', 1, '', '{}', '', 0)")
    raw.close()
    ran = call("run", "--config", str(kit.write_config(free_port())))
    assert ran.returncode == 1
    assert "vault-damaged (remedy: workshop)" in ran.stderr


def test_doctor_names_what_is_missing_and_changes_nothing(kit: Kit) -> None:
    config = kit.write_config(free_port())
    ran = call("doctor", "--config", str(config), "--json")
    answer = json.loads(ran.stdout)
    states = {check["name"]: check["state"] for check in answer["checks"]}
    assert ran.returncode == 1
    assert answer["ready"] is False
    assert {states[name] for name in ("camera", "fingerprint", "signature")} == {"fail"}
    assert {states[name] for name in ("vault", "journal", "recipients", "kit-sign")} == {"ok"}
    assert states["device-secret"] == "warn"  # a file: reduced protection
    assert all(set(check) == {"name", "state", "detail", "remedy"} for check in answer["checks"])
    plain = call("doctor", "--config", str(config))
    assert "not ready" in plain.stdout
    config.write_text(config.read_text() + "\nsurprise = 1\n")
    broken = json.loads(call("doctor", "--config", str(config), "--json").stdout)
    assert broken["checks"][0]["name"] == "config"


def test_doctor_looks_at_the_kit_it_stands_on_unless_another_is_named() -> None:
    shown = call("doctor", "--help").stdout
    assert "/etc/thuisloket/kit.toml" in shown


def test_init_makes_the_vault_and_answers_the_bag_recipient(kit: Kit) -> None:
    (kit.data / "vault.db").unlink()
    config = str(kit.write_config(free_port()))
    roster = json.dumps([_officer("an.peeters"), _officer("jo.maes")])
    for bad in ('[{"officer_id": "x"}]', roster.replace(PIN, "123456")):
        ran = call("init", "--config", config, "--json", told=bad)
        assert (ran.returncode, ran.stdout) == (3, "")
        assert "bad-config" in ran.stderr
    ran = call("init", "--config", config, "--json", told=roster)
    assert ran.returncode == 0, ran.stderr
    recipient = json.loads(ran.stdout)["bag_recipient"]
    agekeys.read_recipient(recipient)
    assert call("init", "--config", config, told=roster).returncode == 3


def test_an_officer_is_added_on_the_word_of_another(kit: Kit, tmp_path: Path) -> None:
    config = str(kit.write_config(free_port()))
    new = _officer("els.claes")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    key.write_text(new["key_pem"])
    certificate.write_text(new["cert_pem"])
    options = ["officer", "add", "--config", config, "--id", "els.claes", "--name", "Els Claes"]
    options += ["--key", str(key), "--certificate", str(certificate), "--pin-stdin", "--json"]
    assert call(*options, told="827364\n").returncode == 3  # the vault is there: nobody vouched
    assert call(*options, "--by", "an.peeters", told="827364\n111999\n").returncode == 1
    ran = call(*options, "--by", "an.peeters", told=f"827364\n{PIN}\n")
    assert (ran.returncode, json.loads(ran.stdout)) == (0, {"bag_recipient": kit.bag_recipient})


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["version"], 0),
        (["nothing"], 2),
        (["run"], 2),
        (["run", "--config", "/nowhere/kit.toml"], 3),
        (["scan-finger", "--driver", "suprema-sfm", "--port", "/nowhere", "--out", "/dev/null"], 4),
        (["sign", "--driver", "topaz-siglite", "--port", "/nowhere", "--out", "/dev/null"], 4),
        (["scan-finger", "--driver", "wax", "--port", "/nowhere", "--out", "/dev/null"], 2),
    ],
)
def test_exit_codes_are_those_of_the_contract(arguments: list[str], code: int) -> None:
    assert call(*arguments).returncode == code


def _officer(officer_id: str) -> dict[str, str]:
    now = SystemClock().now()
    issuer = authority("Officers")
    holder = leaf(Role.OFFICER, officer_id, issuer, start=now - timedelta(1), end=now + timedelta(1))
    new = NewOfficer(
        officer_id,
        officer_id,
        PIN,
        key_pem(holder.key).decode(),
        certificate_pem(holder.certificate).decode(),
    )
    return {name: getattr(new, name) for name in new.__struct_fields__}


def test_a_disk_that_takes_no_more_ends_the_uplink_for_another_start_and_a_bad_certificate_for_none(
    kit: Kit,
) -> None:
    """Systemd starts again what ended with 1, and leaves alone what ended with 3."""
    config = kit.write_config(free_port())
    program = [sys.executable, "-m", "device", "uplink", "--config", str(config)]
    (kit.folder / "certs/kit-tls.key").write_bytes(key_pem(kit.signer.signer.key))
    full = subprocess.run(
        ["prlimit", "--fsize=0", *program], capture_output=True, text=True, timeout=60, check=False
    )
    assert full.returncode == 1
    assert "File too large" in full.stderr
    for name, wrong in (("kit-tls.pem", ""), ("kit-tls.key", "no key")):
        (kit.folder / "certs" / name).write_text(wrong)
        ran = call("uplink", "--config", str(config))
        assert ran.returncode == 3
        assert "bad-config" in ran.stderr
        assert name in ran.stderr
        kit.write_config(free_port())
