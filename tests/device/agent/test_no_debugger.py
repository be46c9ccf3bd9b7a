"""The running agent: nobody of the same user reads its memory, no core of it is made, none of it is swapped.

Root may look into any process; so agent and debugger both run without that one capability, as two programs of
one user. The same debugger on a program that is not hardened finds what it looks for.
"""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.device.agent.kit import Kit
from tests.device.agent.test_crash import free_port

ROOT = Path(__file__).parents[3]
UNPRIVILEGED = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-all", "--"]
CANARY = b"CANARY-IN-THE-MEMORY"
UNHARDENED = "secret = bytes(reversed({!r})); print('ready', flush=True); import time; time.sleep(600)"
DEBUGGER = """
import ctypes, json, os, sys
pid, canary = int(sys.argv[1]), sys.argv[2].encode()
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
did = {"attached": libc.ptrace(16, pid, None, None) == 0, "read": 0, "found": False}
try:
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            begin, end = (int(one, 16) for one in line.split()[0].split("-"))
            try:
                memory.seek(begin)
                data = memory.read(end - begin)
            except (OSError, OverflowError, ValueError):
                continue
            did["read"] += len(data)
            did["found"] = did["found"] or canary in data
except OSError as problem:
    did["refused"] = problem.strerror
print(json.dumps(did))
"""

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv"),
]


def debug(pid: int) -> dict[str, object]:
    """What a debugger of the same user gets hold of."""
    program = [*UNPRIVILEGED, sys.executable, "-c", DEBUGGER, str(pid), CANARY.decode()]
    done = subprocess.run(program, capture_output=True, text=True, check=True, timeout=60)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def dump(pid: int, folder: Path) -> list[Path]:
    """The cores that gdb's own tool makes of it; none where there is no such tool."""
    if shutil.which("gcore"):
        command = [*UNPRIVILEGED, "gcore", "-o", str(folder / "core"), str(pid)]
        subprocess.run(command, capture_output=True, check=False, timeout=120)
    return list(folder.iterdir())


@contextmanager
def unhardened() -> Iterator[int]:
    program = [*UNPRIVILEGED, sys.executable, "-c", UNHARDENED.format(bytes(reversed(CANARY)))]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process.pid
        finally:
            process.kill()


@contextmanager
def agent(kit: Kit) -> Iterator[int]:
    config = kit.write_config(free_port())
    program = [*UNPRIVILEGED, sys.executable, "-m", "device", "run", "--config", str(config)]
    with subprocess.Popen(program, cwd=ROOT, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            while b"kiosk-ready" not in (line := process.stderr.readline()):
                assert line, "it ended"
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def sizes(pid: int) -> dict[str, int]:
    """In kB, as the kernel tells."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}


def test_the_debugger_finds_the_secret_of_a_program_that_is_not_hardened(tmp_path: Path) -> None:
    with unhardened() as pid:
        seen = debug(pid)
        cores = dump(pid, tmp_path)
    assert (seen["attached"], seen["found"]) == (True, True)
    if shutil.which("gcore"):
        assert any(CANARY in core.read_bytes() for core in cores)


def test_of_the_running_agent_it_reads_not_one_byte_and_makes_no_core(kit: Kit, tmp_path: Path) -> None:
    (tmp_path / "cores").mkdir()
    with agent(kit) as pid:
        seen = debug(pid)
        cores = dump(pid, tmp_path / "cores")
        limits = Path(f"/proc/{pid}/limits").read_text()
        held = sizes(pid)
    assert (seen["attached"], seen["read"], seen["refused"]) == (False, 0, "Permission denied")
    assert cores == []
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
    assert held["VmSwap"] == 0
    assert held["VmLck"] >= held["VmRSS"] > 0, "all it has in memory stays there"


def test_locked_memory_is_what_the_kernel_says_it_is() -> None:
    """What the line above relies on: without the lock the same figure is nothing."""
    libc = ctypes.CDLL(None)
    assert libc.munlockall() == 0
    assert sizes(os.getpid())["VmLck"] == 0
