"""What the image tells the kit's kernel: it takes it, and it does what it is for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.link.ours import STAMPS, of_kit

IMAGE = Path(__file__).parents[3] / "provisioning" / "image"
SYSCTL = IMAGE / "sysctl" / "60-thuisloket.conf"
CONGESTION = "net.ipv4.tcp_congestion_control"
HAS_STAMPS = 1  # TCPI_OPT_TIMESTAMPS of struct tcp_info, tcpi_options
ASK = f"""
import socket
near = socket.socket()
listener = socket.create_server(("127.0.0.1", 0))
near.connect(listener.getsockname())
print(near.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5] & {HAS_STAMPS})
"""


def said() -> dict[str, str]:
    lines = [line.strip() for line in SYSCTL.read_text().splitlines()]
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def test_each_setting_is_one_that_linux_has() -> None:
    assert said() == {CONGESTION: "bbr", STAMPS: "0"}
    for name in said():
        assert (Path("/proc/sys") / name.replace(".", "/")).exists()


def test_the_module_that_the_settings_need_is_loaded_before_them() -> None:
    lines = (IMAGE / "modules-load" / "thuisloket.conf").read_text().splitlines()
    assert f"tcp_{said()[CONGESTION]}" in lines


def test_the_benchmark_of_bad_links_runs_with_what_a_kit_has() -> None:
    assert of_kit() == {STAMPS: said()[STAMPS]}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a network of its own")
def test_a_connection_goes_without_time_stamps_then() -> None:
    words = f"ip link set lo up && sysctl -q -w {STAMPS}={said()[STAMPS]} && {sys.executable} -c '{ASK}'"
    told = subprocess.run(
        ["unshare", "--net", "sh", "-c", words], capture_output=True, text=True, check=False
    )
    if told.returncode:
        pytest.skip(f"no network of our own here: {told.stderr[-120:]}")
    assert told.stdout.strip() == "0"
