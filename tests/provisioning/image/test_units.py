"""The kit's systemd units: systemd takes them, they are closed as far as can be, and they fit the code."""

import os
import shlex
import shutil
import subprocess
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import typer.main

from device.__main__ import command
from device.drivers.keys.otp.source import Settings as Fuses
from device.drivers.keys.tpm.source import Settings as Tpm

ROOT = Path(__file__).parents[3]
IMAGE = ROOT / "provisioning" / "image"
UNITS = {path.stem.removeprefix("thuisloket-"): path for path in (IMAGE / "systemd").glob("*.service")}
SERIAL = {"char-ttyUSB rw", "char-ttyACM rw"}
TPM = {f"{Tpm(path='', tls='').device} rw"}
MODULES = {
    "char-ttyUSB": "usbserial",
    "char-ttyACM": "cdc_acm",
    "char-video4linux": "videodev",
    "char-media": "mc",
}
"""Which module tells the kernel of a kind of device; all others are built in on a kit."""
CAMERA = {"char-video4linux rw", "char-media rw", "char-dma_heap rw"}
MOST = {"agent": 10, "keys": 10, "uplink": 15}
"""Exposure in tenths, as `systemd-analyze security` counts; the uplink cannot name the addresses it needs."""


def settings(name: str) -> dict[str, list[str]]:
    """Every setting of a unit with its values in order."""
    found = defaultdict(list)
    for line in UNITS[name].read_text().splitlines():
        key, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            found[key].append(value)
    return found


def test_there_is_a_unit_for_each_program_that_a_kit_runs() -> None:
    assert set(UNITS) == {"agent", "uplink", "keys"} == set(MOST)


@pytest.mark.parametrize("name", sorted(MOST))
def test_systemd_takes_it_as_it_stands(name: str, tmp_path: Path) -> None:
    """In a root of its own, in which what it starts is there."""
    units, program = tmp_path / "etc/systemd/system", tmp_path / "opt/thuisloket/bin/thuisloket-kit"
    for folder in (units, program.parent):
        folder.mkdir(parents=True)
    program.touch(0o755)
    for path in UNITS.values():
        shutil.copy(path, units)
    targets = (
        "pcscd.socket multi-user.target network-online.target sysinit.target basic.target shutdown.target"
    )
    for target in targets.split():
        listens = "[Socket]\nListenStream=/run/pcscd.comm\nAccept=yes\n" if target.endswith("socket") else ""
        (units / target).write_text(f"[Unit]\nDefaultDependencies=no\n{listens}")
    (units / "systemd-udev-settle.service").write_text(
        "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/opt/thuisloket/bin/thuisloket-kit\n"
    )
    (units / "pcscd@.service").write_text("[Service]\nExecStart=/opt/thuisloket/bin/thuisloket-kit\n")
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={tmp_path}",
         UNITS[name].name],
        capture_output=True, text=True, check=False, env=os.environ | {"SYSTEMD_LOG_LEVEL": "warning"},
    )  # fmt: skip
    assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize("name", sorted(MOST))
def test_it_is_closed_as_far_as_it_can_be(name: str) -> None:
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST[name]}", str(UNITS[name])],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout[-400:] + told.stderr


@pytest.mark.parametrize("name", sorted(MOST))
def test_nothing_of_its_memory_reaches_a_disk_and_no_device_but_those_named_is_there(name: str) -> None:
    found = settings(name)
    assert (found["LimitCORE"], found["MemorySwapMax"], found["DevicePolicy"]) == (["0"], ["0"], ["closed"])
    devices = {
        "agent": SERIAL | CAMERA | TPM,
        "keys": TPM | {f"{Fuses().device} rw"},
        "uplink": set(),
    }
    assert set(found["DeviceAllow"]) == devices[name]


def test_every_kind_of_device_that_is_permitted_is_known_before_the_agent_starts() -> None:
    """systemd looks a kind up when it starts a unit; what was not known then is refused to it for good."""
    loaded = (IMAGE / "modules-load" / "thuisloket.conf").read_text().splitlines()
    kinds = {line.split()[0] for line in settings("agent")["DeviceAllow"] if line.startswith("char-")}
    assert kinds - {"char-dma_heap"} == set(MODULES)
    assert set(MODULES.values()) <= set(loaded)


def test_the_keys_are_not_asked_for_before_udev_has_given_their_device_its_driver() -> None:
    found = settings("keys")
    assert found["After"] == found["Wants"] == ["systemd-udev-settle.service"]


def test_the_agent_cannot_ask_the_firmware_for_the_key_of_the_board() -> None:
    """Nor may it read the device by its group; only the unit that hands the secret over may."""
    rules = (IMAGE / "udev" / "60-thuisloket.rules").read_text()
    assert (
        f'KERNEL=="{Path(Fuses().device).name}", OWNER="root", GROUP="thuisloket-fuses", MODE="0660"' in rules
    )
    agent, keys = settings("agent"), settings("keys")
    assert "thuisloket-fuses" not in agent["SupplementaryGroups"][0].split()
    assert "thuisloket-fuses" in keys["SupplementaryGroups"][0].split()
    assert not any("vcio" in each for each in agent["DeviceAllow"])


@pytest.mark.parametrize("name", sorted(MOST))
def test_what_it_starts_is_a_command_of_the_kit(name: str) -> None:
    (line,) = settings(name)["ExecStart"]
    program, *words = shlex.split(line)
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert Path(program).name in scripts
    known: Any = typer.main.get_command(command.app)
    while not words[0].startswith("-"):
        known = known.commands[words.pop(0)]
    options = {text for each in known.params for text in each.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_every_user_and_group_of_a_unit_is_made() -> None:
    made = {line.split()[1] for line in (IMAGE / "sysusers" / "thuisloket.conf").read_text().splitlines()
            if line and not line.startswith("#")}  # fmt: skip
    debian = {"dialout", "video"}
    for name in UNITS:
        found = settings(name)
        wanted = {*found["User"], *found["Group"], *found["SupplementaryGroups"][0].split()}
        assert wanted <= made | debian


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_a_kits_folder_is_given_to_its_two_users_each_key_to_its_own(tmp_path: Path) -> None:
    kit, secret = tmp_path / "var/lib/thuisloket", {"kit-sign.key": "agent", "kit-tls.key": "uplink"}
    (kit / "certs").mkdir(parents=True)
    (kit / "data").mkdir()
    for path in (kit / "data" / "vault.db", *(kit / "certs" / name for name in secret)):
        path.touch(0o644)
    (tmp_path / "etc").mkdir()
    makers = [
        ["systemd-sysusers", IMAGE / "sysusers" / "thuisloket.conf"],
        ["systemd-tmpfiles", "--create", IMAGE / "tmpfiles" / "thuisloket.conf"],
    ]
    for program, *more in makers:
        command = [str(program), f"--root={tmp_path}", *map(str, more)]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
    lines = (tmp_path / "etc/passwd").read_text().splitlines()
    users = {int(line.split(":")[2]): line.split(":")[0].removeprefix("thuisloket-") for line in lines}
    for name, user in secret.items():
        found = (kit / "certs" / name).stat()
        assert (users[found.st_uid], found.st_mode & 0o777) == (user, 0o600)
    vault = (kit / "data" / "vault.db").stat()
    assert (users[vault.st_uid], vault.st_mode & 0o777) == ("agent", 0o600)
    folders = {name: (kit / "data" / name).stat() for name in ("spool", "signing", "uplink")}
    assert {name: users[found.st_uid] for name, found in folders.items()} == {
        "spool": "agent", "signing": "agent", "uplink": "uplink"
    }  # fmt: skip
    assert len({found.st_gid for found in folders.values()}) == 1, "what they share has one group"
