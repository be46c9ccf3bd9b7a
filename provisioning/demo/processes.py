"""The demo's programs: started in the order of their needs, watched, stopped in reverse, never orphaned."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

STOP_PATIENCE_S = 8.0
POLL_S = 0.05
LAST_LINES = 15


class ProgramFailed(Exception):
    """A program did not come up, or fell over; the text names it and ends with the last lines of its log."""


@dataclass(frozen=True)
class Program:
    """One program. `ready` is asked often and must be quick; `after` names those that must be ready first."""

    name: str
    argv: Sequence[str | Path]
    ready: Callable[[], bool]
    after: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    patience_s: float = 180.0


class Programs:
    """Those that run; their output goes to `logs`/NAME.log.

    Start them from one thread that lives as long as they may: the kernel ends a program with the thread that
    started it."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        logs.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, Program] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, programs: Sequence[Program], started: Callable[[str, float], None] | None = None) -> None:
        """Start all, side by side where their needs allow; `started` hears of each and the seconds."""
        waiting, coming, ready = list(programs), dict[str, float](), set[str](self._running)
        while waiting or coming:
            for program in [p for p in waiting if ready.issuperset(p.after)]:
                waiting.remove(program)
                self._spawn(program)
                coming[program.name] = time.monotonic()
            if not coming:
                raise ProgramFailed(f"nobody starts what {waiting[0].name} waits for")
            for name, began in list(coming.items()):
                self._check(name, began)
                if self._known[name].ready():
                    ready.add(name)
                    del coming[name]
                    if started is not None:
                        started(name, time.monotonic() - began)
            time.sleep(POLL_S)

    def again(self, name: str) -> None:
        """Start a program that was stopped or killed, and wait until it is ready."""
        self.start([self._known[name]])

    def running(self, name: str) -> bool:
        process = self._running.get(name)
        return process is not None and process.poll() is None

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def names(self) -> tuple[str, ...]:
        """All that were ever started, in that order."""
        return tuple(self._known)

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def stop(self, name: str) -> None:
        """SIGTERM to the program and what it has started, SIGKILL to what then remains."""
        process = self._running.pop(name, None)
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_PATIENCE_S)
        self._reap(process)

    def kill(self, name: str) -> None:
        """SIGKILL, as a power cut would end it."""
        self._reap(self._running.pop(name))

    def ended(self) -> str | None:
        """The name of a program that ended by itself, if there is one."""
        return next((name for name, process in self._running.items() if process.poll() is not None), None)

    def close(self) -> None:
        """Stop all, last started first."""
        for name in reversed(list(self._running)):
            self.stop(name)

    def last_lines(self, name: str) -> str:
        text = self.log(name).read_text(errors="replace") if self.log(name).exists() else ""
        return "\n".join(text.splitlines()[-LAST_LINES:])

    def _spawn(self, program: Program) -> None:
        self._known[program.name] = program
        with self.log(program.name).open("ab") as log:
            self._running[program.name] = subprocess.Popen(
                # setpriv: when we die, however we die, the program gets SIGTERM (prctl PR_SET_PDEATHSIG)
                ["setpriv", "--pdeathsig", "TERM", *map(str, program.argv)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **program.env},
                start_new_session=True,  # Ctrl-C is ours to handle: they stop in order
            )

    def _check(self, name: str, began: float) -> None:
        process, patience = self._running[name], self._known[name].patience_s
        if process.poll() is not None:
            del self._running[name]
            raise ProgramFailed(f"{name} ended with {process.returncode}:\n{self.last_lines(name)}")
        if time.monotonic() - began > patience:
            raise ProgramFailed(f"{name} was not ready after {patience:.0f} s:\n{self.last_lines(name)}")

    @staticmethod
    def _reap(process: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its session: also what it left behind
        process.wait()


def listens(port: int) -> Callable[[], bool]:
    """Ready when something answers on this loopback port."""

    def ready() -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return ready


def exists(path: Path) -> Callable[[], bool]:
    """Ready when this file, link or socket is there."""
    return path.exists


def says(log: Path, text: str) -> Callable[[], bool]:
    """Ready when the log holds this text after what it held at the time of this call."""
    start = log.stat().st_size if log.exists() else 0

    def ready() -> bool:
        if not log.exists():
            return False
        with log.open("rb") as lines:
            lines.seek(start)
            return text.encode() in lines.read()

    return ready
