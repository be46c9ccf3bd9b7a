"""`thuisloket-provision broker write`: says what changes, changes only that, and may be done again."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CONF = "mosquitto.conf"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("authorities.pem", "broker-lists.pem", "broker.pem", "broker.key"):
        (tmp_path / name).write_text(name)
    return tmp_path


def call(folder: Path, *more: str, key: str = "broker.key") -> subprocess.CompletedProcess[str]:
    named = ["--release", ".", "--certificate", "broker.pem", "--key", key]
    program = [sys.executable, "-m", "provisioning", "broker", "write", ".", *named, *more]
    return subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_an_older_configuration_is_shown_what_changes_and_brought_up(folder: Path) -> None:
    assert call(folder, "--port", "18883").returncode == 0
    known = (folder / "dynsec.json").read_bytes()
    right = (folder / CONF).read_text()
    old = right.replace("max_inflight_messages 4000", "max_inflight_messages 500")
    (folder / CONF).write_text(f"{old}persistent_client_expiration 14d\n")
    shown = call(folder, "--port", "18883", "--show", "--json")
    assert json.loads(shown.stdout)["changes"] == [
        "- max_inflight_messages 500",
        "+ max_inflight_messages 4000",
        "- persistent_client_expiration 14d",
    ]
    assert "14d" in (folder / CONF).read_text()
    assert "start mosquitto anew" in call(folder, "--port", "18883").stdout
    assert (folder / CONF).read_text() == right
    assert "as it should be" in call(folder, "--port", "18883").stdout
    assert (folder / "dynsec.json").read_bytes() == known


def test_what_is_not_there_is_named_and_nothing_is_written(folder: Path) -> None:
    refused = call(folder, key="elsewhere.key")
    assert (refused.returncode, refused.stderr) == (1, "failed: elsewhere.key: there is no such file\n")
    assert not (folder / CONF).exists()
