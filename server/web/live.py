"""Keeps open dashboards up to date: one thread looks, however many watch.

A dashboard is followed by its scope, so a hundred clerks of one town cost one look. Looking happens only
while somebody watches, and only when another connection has committed something.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from server.db.engine import Database
from server.db.listening import ChangeWatch, Unheard
from server.db.scope import Scope
from server.fleet.overview import Overview, look

LOOK_EVERY_S = 0.2  # at most this often, however much is committed
AT_LEAST_EVERY_S = 30.0  # words like "since 4 minutes" grow old by themselves

log = structlog.get_logger()


@dataclass(frozen=True)
class Sight:
    """`version` grows with every change."""

    version: int
    overview: Overview


class Live:
    """Thread-safe. Its thread lives while somebody watches."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._changed = threading.Condition()
        self._watchers: dict[Scope, int] = {}
        self._sights: dict[Scope, Sight] = {}
        self._version = 0
        self._thread: threading.Thread | None = None

    def look(self, scope: Scope) -> Overview:
        """The overview now."""
        with self._database.reading(scope) as db:
            return look(db, self._clock())

    def enter(self, scope: Scope) -> None:
        """Somebody begins to watch; `leave` ends it."""
        with self._changed:
            self._watchers[scope] = self._watchers.get(scope, 0) + 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="live", daemon=True)
                self._thread.start()

    def leave(self, scope: Scope) -> None:
        with self._changed:
            self._watchers[scope] -= 1
            if not self._watchers[scope]:
                del self._watchers[scope]
                self._sights.pop(scope, None)

    def after(self, scope: Scope, version: int, seconds: float) -> Sight | None:
        """The sight of `scope` once it is newer than `version`; None when `seconds` pass without one."""
        with self._changed:
            self._changed.wait_for(lambda: self._newer(scope, version), seconds)
            return self._newer(scope, version)

    def _newer(self, scope: Scope, version: int) -> Sight | None:
        sight = self._sights.get(scope)
        return sight if sight is not None and sight.version > version else None

    def _run(self) -> None:
        last, heard = 0.0, True
        try:
            watch = ChangeWatch(self._database)
        except Unheard as problem:
            self._stopped(problem)
            return
        try:
            while True:
                with self._changed:
                    if not self._watchers:
                        self._thread = None
                        return
                    scopes = list(self._watchers)
                    new = any(scope not in self._sights for scope in scopes)
                due = time.monotonic() - last >= AT_LEAST_EVERY_S
                if heard or new or due:
                    self._refresh(scopes, force=due)
                    last = time.monotonic() if due else last
                heard = watch.wait(LOOK_EVERY_S)
        except (SQLAlchemyError, Unheard) as problem:
            self._stopped(problem)
        finally:
            watch.close()

    def _stopped(self, problem: Exception) -> None:
        """The dashboards stand still until the next one opens and starts us again."""
        log.error("live view stopped", exc_info=problem)
        with self._changed:
            self._thread = None

    def _refresh(self, scopes: list[Scope], *, force: bool) -> None:
        for scope in scopes:
            overview = self.look(scope)
            with self._changed:
                held = self._sights.get(scope)
                if scope in self._watchers and (force or held is None or held.overview != overview):
                    self._version += 1
                    self._sights[scope] = Sight(self._version, overview)
                    self._changed.notify_all()
