"""A device behind keys that others may open is found out."""

import os
import socket
from pathlib import Path

import pytest

from device.drivers.keys.node import too_open


@pytest.fixture
def node(tmp_path: Path) -> Path:
    path = tmp_path / "device"
    path.touch(0o600)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o660])
def test_a_device_of_ours_alone_is_fine(node: Path, mode: int) -> None:
    node.chmod(mode)
    os.chown(node, -1, os.getegid())
    assert too_open(node) == ""


@pytest.mark.parametrize("mode", [0o666, 0o604, 0o602, 0o601])
def test_a_device_that_everybody_may_open_is_named(node: Path, mode: int) -> None:
    node.chmod(mode)
    assert "open to every program" in too_open(node)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_another_users_device_is_named(node: Path) -> None:
    os.chown(node, 1, 0)
    assert too_open(node).endswith("is open to daemon as well")


def test_a_socket_is_asked_only_whether_others_may_write(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    (tmp_path / "socket").chmod(0o755)
    assert too_open(tmp_path / "socket") == ""
    (tmp_path / "socket").chmod(0o777)
    assert too_open(tmp_path / "socket")


def test_a_missing_device_is_somebody_elses_complaint(tmp_path: Path) -> None:
    assert too_open(tmp_path / "none") == ""
