"""The agent's process leaves no memory behind: tried on a process of its own that is made to crash."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CRASHER = """
import os, signal, sys
if sys.argv[1] == "hardened":
    from device.agent.hardening import harden
    harden()
else:
    import resource
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
secret = b"CANARY-IN-MEMORY-" + os.urandom(8)
os.chdir(sys.argv[2])
print(open("/proc/self/status").read())
os.kill(os.getpid(), signal.SIGQUIT)
"""
ROOT = Path(__file__).parents[3]
CORES = Path("/proc/sys/kernel/core_pattern").read_text()


def crash(how: str, folder: Path) -> tuple[str, bool]:
    """What the kernel said of the process, and whether it was about to dump its memory."""
    program = [sys.executable, "-c", CRASHER, how, str(folder)]
    process = subprocess.Popen(
        program,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.read()
    process.stdout.close()
    _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert os.WTERMSIG(status) == signal.SIGQUIT
    return said, os.WCOREDUMP(status)


def run(program: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)


def test_a_hardened_process_dumps_nothing(tmp_path: Path) -> None:
    _, dumped = crash("hardened", tmp_path)
    assert not dumped
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 or CORES.startswith(("|", "/")),
    reason="this machine makes no cores beside the program",
)
def test_the_same_crash_of_a_process_that_is_not_hardened_dumps_its_secret(tmp_path: Path) -> None:
    _, dumped = crash("plain", tmp_path)
    assert dumped
    (core,) = tmp_path.iterdir()
    assert b"CANARY-IN-MEMORY-" in core.read_bytes()


def test_its_memory_belongs_to_root_and_its_core_is_of_size_nothing() -> None:
    program = (
        "import ctypes, resource; from device.agent.hardening import harden; harden();"
        "print(resource.getrlimit(resource.RLIMIT_CORE)); print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    done = run(program)
    assert done.stdout.split("\n")[:2] == ["(0, 0)", "0"]


@pytest.mark.skipif(os.geteuid() != 0, reason="locking memory needs the capability")
def test_where_it_is_permitted_nothing_can_be_swapped_out() -> None:
    program = (
        "from device.agent.hardening import harden; print(harden().locked);"
        "print(*[line for line in open('/proc/self/status') if line.startswith('VmLck')])"
    )
    done = run(program)
    locked, size = done.stdout.split("\n")[:2]
    assert locked == str(int(size.split()[1]) > 0)
