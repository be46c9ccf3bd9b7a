"""The kit's units, settings and rules under the systemd and kernel of a Debian that boots, in an emulator.

Long run (THUISLOKET_LONG=1), as root, with Debian's qemu-system-x86, mmdebstrap and swtpm
(`provisioning/setup/debian.sh appliance`); a quarter of an hour, twice that when others work.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator

import pytest

from tests.appliance.disk import BUILT, IMAGE, PATIENCE_S, disk
from tests.appliance.machine import Machine

MISSING = [name for name in ("qemu-system-x86_64", "mmdebstrap", "swtpm") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.skipif(os.environ.get("THUISLOKET_LONG") != "1", reason="minutes: THUISLOKET_LONG=1"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a disk"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}"),
    pytest.mark.timeout(3600),
]
UNITS = ("thuisloket-keys", "thuisloket-agent", "thuisloket-uplink")
READY_S = 1500.0
VAULT = "/var/lib/thuisloket/data/vault.db"
DEVICES = [
    "/dev/vcio",
    "/dev/mem",
    "/dev/vda",
    "/dev/kmsg",
    "/dev/ttyS0",
    "/dev/ttyUSB0",
    "/dev/tpmrm0",
    "/dev/null",
]
FOLDERS = [
    "/var/lib/thuisloket/data",
    "/var/lib/thuisloket",
    "/etc",
    "/run",
    "/opt/thuisloket",
    "/dev/shm",
    "/tmp",
]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    shutil.move(disk(), folder / "disk.img")
    for name in ("vmlinuz", "initrd.img"):
        shutil.copy(BUILT / name, folder)
    with Machine(folder) as booted:
        ready(booted)
        yield booted


def main_pid(machine: Machine) -> int:
    return int(machine.run("systemctl show -p MainPID --value thuisloket-agent").out)


def ready(machine: Machine) -> int:
    """Waits until the agent's kiosk listens; the agent's process."""
    until(lambda: "kiosk-ready" in machine.run(
        "journalctl -b -o cat _PID=$(systemctl show -p MainPID --value thuisloket-agent)").out)  # fmt: skip
    return main_pid(machine)


def until(so: Callable[[], bool], seconds: float = READY_S) -> None:
    deadline = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < deadline
        time.sleep(4)


def test_everything_has_started_and_nothing_has_failed(machine: Machine) -> None:
    assert machine.run(f"systemctl is-active {' '.join(UNITS)}").out.split() == ["active"] * 3
    assert machine.run("systemctl --failed --no-legend").out == ""
    names = [f"{unit}.service" for unit in UNITS]
    assert machine.run(f"systemd-analyze verify {' '.join(names)}").rc == 0


def test_the_kernel_sends_as_the_image_says(machine: Machine) -> None:
    told = machine.run("sysctl -n net.ipv4.tcp_timestamps net.ipv4.tcp_congestion_control; lsmod").out
    assert told.split()[:2] == ["0", "bbr"]
    assert "tcp_bbr" in told


def test_every_kind_of_device_is_known_before_the_agent_starts(machine: Machine) -> None:
    """Else one that is plugged in later is refused: systemd looks kinds up when it starts the unit."""
    unit = (IMAGE / "systemd" / "thuisloket-agent.service").read_text()
    kinds = set(re.findall(r"^DeviceAllow=char-(\S+)", unit, re.MULTILINE)) - {
        "dma_heap"
    }  # not on this processor
    known = {line.split()[-1] for line in machine.run("cat /proc/devices").out.splitlines() if line.strip()}
    assert kinds <= known


def test_the_agents_unit_lets_nothing_through_but_what_it_names(machine: Machine) -> None:
    """A program in the agent's place. The mailbox stands for a clock's device, which anybody may open."""
    number = machine.run("stat -c '%Hr %Lr' /dev/rtc0").out.strip()
    machine.run(f"rm -f /dev/vcio; mknod -m 666 /dev/vcio c {number}; chmod 666 /dev/mem /dev/vda /dev/kmsg")
    assert (
        machine.run('setpriv --reuid 65534 --clear-groups python3 -c \'open("/dev/vcio", "r+b", 0)\'').rc == 0
    )
    program = f"/opt/thuisloket/bin/python3 /opt/thuisloket/probe.py {','.join(DEVICES)} {','.join(FOLDERS)}"
    ran = machine.run(
        "cp /opt/test/probe.py /opt/thuisloket/; "
        f"sed -e 's#^ExecStart=.*#ExecStart={program}#' -e 's/^Type=exec/Type=oneshot/' "
        "-e '/^Requires=/d;/^Restart=/d;/^Watchdog/d' "
        "/etc/systemd/system/thuisloket-agent.service >/run/systemd/system/probe.service; "
        "systemctl daemon-reload; systemctl start probe; journalctl -o cat -u probe | grep '^{' | tail -1"
    )
    told = json.loads(ran.out)
    refused = "Operation not permitted"
    assert told["open"] == dict.fromkeys(DEVICES, refused) | {
        "/dev/kmsg": "Permission denied",  # hidden by ProtectKernelLogs=
        "/dev/ttyUSB0": "yes", "/dev/tpmrm0": "yes", "/dev/null": "yes"
    }  # fmt: skip
    written = {folder for folder, how in told["write"].items() if how == "yes"}
    assert written == {"/var/lib/thuisloket/data", "/tmp"}
    assert {name for name, how in told["socket"].items() if how == "yes"} == {"AF_UNIX", "AF_INET"}
    assert told["outside"] == "Network is unreachable"
    assert told["shell"] == "Permission denied"


def test_its_memory_is_locked_and_leaves_no_core(machine: Machine) -> None:
    pid = ready(machine)
    status = machine.run(f"cat /proc/{pid}/status").out
    assert int(re.findall(r"VmLck:\s+(\d+)", status)[0]) > 10_000
    assert (
        machine.run("cat /sys/fs/cgroup/system.slice/thuisloket-agent.service/memory.swap.max").out == "0\n"
    )
    machine.run("mkdir -p /var/cores; chmod 777 /var/cores; sysctl -w kernel.core_pattern=/var/cores/%p")
    machine.run("ulimit -c unlimited; sleep 60 & kill -SEGV $!; wait $!")
    assert len(machine.run("ls /var/cores").out.split()) == 1, "a program that is not hardened leaves one"
    machine.run(f"kill -SEGV {pid}")
    assert ready(machine) != pid
    assert len(machine.run("ls /var/cores").out.split()) == 1


def test_an_agent_that_hangs_is_started_again(machine: Machine) -> None:
    pid = ready(machine)
    machine.run(f"kill -STOP {pid}")
    until(lambda: main_pid(machine) not in (0, pid), 3 * PATIENCE_S)
    assert "Watchdog timeout" in machine.run("journalctl -o cat -u thuisloket-agent").out
    ready(machine)


def test_after_a_cut_of_the_power_it_is_all_there_again(machine: Machine) -> None:
    ready(machine)
    machine.cut()
    machine.start()
    ready(machine)
    assert machine.run("systemctl --failed --no-legend").out == ""
    ask = f"import sqlite3; print(*sqlite3.connect('{VAULT}').execute('pragma integrity_check'))"
    assert machine.run(f'python3 -c "{ask}"').out == "('ok',)\n"
