"""Programs forked from one that has imported what they need: a start costs milliseconds instead of a second.

What runs is what `python -m MODULE ARGUMENTS` runs, in a process and a session of its own, and dies as any
other. As a program (`python -m tests.custody.nursery MODULE...`, a socket on standard input) it imports the
modules, runs no thread, and forks what it is asked for.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from server.processes import end_with_parent

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_STARTS_S = 120.0
_DIES_S = 30.0


class Running:
    """One program. It is a child of its nursery, so it is known by a descriptor of the process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._process = os.pidfd_open(pid)

    def kill(self) -> None:
        """kill -9 of the program and of all that it has forked; gone when this returns."""
        with suppress(ProcessLookupError):  # it has ended, or not yet a session of its own
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, signal.SIGKILL)
        assert self.wait(_DIES_S), f"{self.pid} does not die"
        os.close(self._process)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, within `seconds`."""
        return bool(select.select([self._process], [], [], seconds)[0])


class Nursery:
    """Starts programs of the sources in `sources`, with `modules` imported once. May be used from any
    thread."""

    def __init__(self, sources: Path, modules: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *modules], cwd=sources, stdin=theirs, stdout=subprocess.DEVNULL
        )
        theirs.close()
        ours.settimeout(_STARTS_S)
        self._socket, self._answers = ours, ours.makefile("rb")
        self._lock = threading.Lock()

    def start(self, log: Path, module: str, *argv: str) -> Running:
        """`python -m module argv...`, what it says appended to `log`."""
        with self._lock:
            self._socket.sendall(json.dumps([str(log), module, *argv]).encode() + b"\n")
            return Running(int(self._answers.readline()))

    def close(self) -> None:
        """Ends whatever it has started and is still there, too."""
        self._answers.close()
        self._socket.close()
        self._process.wait(_DIES_S)


def main() -> None:
    wishes = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for module in sys.argv[1:]:
        importlib.import_module(module)
    gc.freeze()  # what is here now is shared with the children and never collected
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # the attribute is not inherited
    signal.signal(signal.SIGCHLD, lambda *_: _reap())
    with wishes.makefile("rb") as lines:
        for line in lines:
            log, module, *argv = json.loads(line)
            parent, pid = os.getpid(), os.fork()
            if not pid:
                break
            wishes.sendall(f"{pid}\n".encode())
        else:
            return
    wishes.close()
    _grow_up(parent, Path(log))
    sys.argv = [module, *argv]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _reap() -> None:
    """Children, and theirs when they are orphans: so their processor time is counted as ours."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _grow_up(parent: int, log: Path) -> None:
    """As a process that a shell has started with its output in a file."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    end_with_parent(parent, signal.SIGKILL)


if __name__ == "__main__":
    main()
