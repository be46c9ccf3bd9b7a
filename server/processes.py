"""Several programs as one: started side by side, started again when one dies, stopped together.

The kernel tells each child when its parent is gone (prctl PR_SET_PDEATHSIG), so that after a kill -9 of the
supervisor no port stays taken by an orphan.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

import structlog

STOP_PATIENCE_S = 4.0
CALM_S = 30.0  # a child that ran this long is started again at once
LONGEST_PAUSE_S = 10.0
POLL_S = 0.1
SUPERVISED = "THUISLOKET_SUPERVISED"  # in the environment of the children
_PR_SET_PDEATHSIG = 1

log = structlog.get_logger()


def end_with_parent(sent: signal.Signals = signal.SIGTERM) -> None:
    """From now on this process gets `sent` when its parent ends. Linux."""
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(sent), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it ended while we asked
        os.kill(os.getpid(), sent)


def on_stop(do: Callable[[], None]) -> None:
    """Call `do` at SIGTERM and SIGINT."""

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        do()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


class Supervisor:
    """`programs`: arguments of `python -m server` by name."""

    def __init__(self, programs: Mapping[str, Sequence[str]]) -> None:
        self._programs = programs
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._began: dict[str, float] = {}
        self._not_before: dict[str, float] = dict.fromkeys(programs, 0.0)
        self._pause: dict[str, float] = dict.fromkeys(programs, 0.25)

    def run(self, stop: threading.Event) -> None:
        """Keep all running until `stop` is set; then end them, all within STOP_PATIENCE_S."""
        try:
            while not stop.is_set():
                for name in self._programs:
                    self._keep(name)
                stop.wait(POLL_S)
        finally:
            self._end_all()

    def _keep(self, name: str) -> None:
        child = self._children.get(name)
        if child is None:
            if time.monotonic() >= self._not_before[name]:
                self._start(name)
            return
        status = child.poll()
        if status is None:
            return
        del self._children[name]
        if time.monotonic() - self._began[name] >= CALM_S:
            self._pause[name] = 0.25
        self._not_before[name] = time.monotonic() + self._pause[name]
        log.error("program ended", name=name, status=status, again_s=self._pause[name])
        self._pause[name] = min(self._pause[name] * 2, LONGEST_PAUSE_S)

    def _start(self, name: str) -> None:
        argv = [sys.executable, "-m", "server", *self._programs[name]]
        environment = os.environ | {SUPERVISED: name}
        self._children[name] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, env=environment)
        self._began[name] = time.monotonic()

    def _end_all(self) -> None:
        for child in self._children.values():
            child.terminate()
        deadline = time.monotonic() + STOP_PATIENCE_S
        for name, child in self._children.items():
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("program killed", name=name)
                child.kill()
                child.wait()
