"""Several programs as one: started side by side, started again when one dies, stopped together.

They are forks of the supervisor, which has imported what they share and runs no thread: four programs start
in the time of little more than one. The kernel tells each when its parent is gone (PR_SET_PDEATHSIG), so that
after a kill -9 of the supervisor no port stays taken by an orphan.
"""

import ctypes
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import NoReturn

import structlog

STOP_PATIENCE_S = 4.0
CALM_S = 30.0  # a program that ran this long is started again at once
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0
POLL_S = 0.05
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15  # linux/prctl.h

log = structlog.get_logger()


def end_with_parent(parent: int, sent: signal.Signals = signal.SIGTERM) -> None:
    """From now on this process gets `sent` when `parent`, which forked it, ends. Linux."""
    _prctl(_PR_SET_PDEATHSIG, int(sent))
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), sent)


def on_stop(do: Callable[[], None]) -> None:
    """Call `do` at SIGTERM and SIGINT."""

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        do()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


class Supervisor:
    """`programs`: what each does until it is told to stop, by name. For the main thread, without others."""

    def __init__(self, programs: Mapping[str, Callable[[], None]]) -> None:
        self._programs = programs
        self._children: dict[str, int] = {}
        self._began: dict[str, float] = {}
        self._not_before: dict[str, float] = dict.fromkeys(programs, 0.0)
        self._pause: dict[str, float] = dict.fromkeys(programs, FIRST_PAUSE_S)

    def run(self, stop: threading.Event) -> None:
        """Keep all running until `stop` is set; then end them, all within STOP_PATIENCE_S."""
        gc.freeze()  # what is here now is shared with the children and never collected: its pages stay shared
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
        pid, status = os.waitpid(child, os.WNOHANG)
        if not pid:
            return
        del self._children[name]
        if time.monotonic() - self._began[name] >= CALM_S:
            self._pause[name] = FIRST_PAUSE_S
        pause = self._pause[name]
        self._not_before[name] = time.monotonic() + pause
        self._pause[name] = min(pause * 2, LONGEST_PAUSE_S)
        log.error("program ended", name=name, status=os.waitstatus_to_exitcode(status), again_s=pause)

    def _start(self, name: str) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(name, parent, self._programs[name])
        self._children[name] = pid
        self._began[name] = time.monotonic()

    def _end_all(self) -> None:
        for pid in self._children.values():
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_PATIENCE_S
        waiting = dict(self._children)
        while waiting and time.monotonic() < deadline:
            waiting = {name: pid for name, pid in waiting.items() if os.waitpid(pid, os.WNOHANG) == (0, 0)}
            time.sleep(0.02)
        for name, pid in waiting.items():
            log.warning("program killed", name=name)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _become(name: str, parent: int, program: Callable[[], None]) -> NoReturn:
    """The rest of a child's life."""
    status = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _prctl(_PR_SET_NAME, ctypes.create_string_buffer(f"fleet-{name}".encode()[:15]))
        end_with_parent(parent)
        program()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as problem:
        log.critical("program failed", name=name, exc_info=problem)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _prctl(option: int, value: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
