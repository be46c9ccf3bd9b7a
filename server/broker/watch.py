"""Whether the broker still answers: asked all the time, started again when it does not, and told.

mosquitto 2.0.11 was seen to crash (docs/decisions/0147 keeps it from doing so as it did). And one that hangs
keeps its socket: the kernel still takes connections for it, and systemd sees a process that runs. Only a
CONNACK tells.
"""

import subprocess
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from server.broker.link import Link, Place
from server.broker.problem import BrokerProblem
from server.broker.release import Release
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.fleet import broker_health
from server.settings import Broker

FAILURES = 3  # in a row: less is a broker that is being started
REST_S = 300.0  # between two restarts
RESTART_S = 60.0
NO_COMMAND = "start mosquitto again; with `restart` under [broker] in fleet.toml the fleet does so itself"

log = structlog.get_logger()


class Watch:
    """For one thread. `clock` tells the time that is written down."""

    def __init__(
        self, database: Database, settings: Broker, place: Place, clock: Callable[[], datetime]
    ) -> None:
        self._database, self._settings, self._place, self._clock = database, settings, place, clock
        self._next = self._rests_until = 0.0
        self._failed = 0
        self._known: bool | None = None  # what was last written down

    def look(self) -> None:
        """Ask when it is time. It may take half a minute where nobody answers."""
        if time.monotonic() < self._next:
            return
        try:
            why = self._ask()
        finally:
            self._next = time.monotonic() + self._settings.watch_every_s
        if not why:
            if self._failed >= FAILURES:
                log.warning("broker answers again")
            self._failed = 0
            self._tell(True, "answers", "")
            return
        self._failed += 1
        log.warning("broker does not answer", why=why, times=self._failed)
        if self._failed >= FAILURES:
            self._act(why)

    def _ask(self) -> str:
        """Why there is no answer; empty when there was one: a refusal is an answer too."""
        try:
            with Link(self._place, Release(self._settings.release).canaries[0]):
                return ""
        except BrokerProblem as problem:
            return "" if problem.code in ("refused", "bad-certificate", "no-release") else problem.code

    def _act(self, why: str) -> None:
        detail = f"no answer {self._failed} times ({why})"
        if not self._settings.restart:
            self._tell(False, detail, NO_COMMAND)
        elif time.monotonic() >= self._rests_until:
            self._rests_until = time.monotonic() + REST_S
            ended = self._restart()
            log.error("broker started again", ended=ended or "done")
            remedy = f"starting it again failed: {ended}" if ended else "it was started again; see its log"
            self._tell(False, detail, remedy)

    def _restart(self) -> str:
        """What the command complained of; empty when it went well."""
        try:
            ran = subprocess.run(
                self._settings.restart, capture_output=True, text=True, timeout=RESTART_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            return f"{self._settings.restart[0]}: {type(problem).__name__}"
        return ran.stderr.strip()[-200:] or f"exit {ran.returncode}" if ran.returncode else ""

    def _tell(self, ok: bool, detail: str, remedy: str) -> None:
        """On the page of the broker and the dashboard; written down when it is news."""
        if self._known is not ok:
            self._known = ok
            with self._database.writing(EVERYONE) as db:
                broker_health.answers(db, ok, detail, remedy, self._clock())
