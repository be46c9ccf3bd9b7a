"""Learning that something was committed, without asking again and again.

On PostgreSQL a transaction that changed anything says so (`server.db.notices`). On SQLite whoever waits looks
at `PRAGMA data_version`, which costs a few microseconds and sees commits of other connections.
"""

import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import psycopg
import structlog

from server.db.engine import Database
from server.db.notices import CHANNEL

AGAIN_S = 2.0  # after a lost connection

log = structlog.get_logger()


class Unheard(Exception):
    """The connection that listens is gone, or cannot be made."""


class ChangeWatch:
    """Waits until another connection may have committed something. For one thread. Unheard."""

    def __init__(self, database: Database) -> None:
        try:
            self._listener = _listen(database) if database.postgresql else None
        except psycopg.Error as problem:
            raise Unheard from problem
        self._sqlite = None if database.postgresql else database.engine.raw_connection()
        self._seen = self._data_version()

    def wait(self, seconds: float) -> bool:
        """For `seconds`; whether something may have been committed since the last call."""
        time.sleep(seconds)
        if self._listener is not None:
            try:
                return bool(_heard(self._listener, 0))
            except psycopg.Error as problem:
                raise Unheard from problem
        before, self._seen = self._seen, self._data_version()
        return self._seen != before

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        if self._sqlite is not None:
            self._sqlite.close()

    def _data_version(self) -> int:
        if self._sqlite is None:
            return 0
        cursor = self._sqlite.cursor()
        try:
            cursor.execute("PRAGMA data_version")
            (version,) = cursor.fetchall()[0]
            return int(version)
        finally:
            cursor.close()


class Bell:
    """Calls `ring(queue)` soon after work was put in a queue by whatever process; "" when it may have missed
    some. On PostgreSQL alone: on SQLite nobody can ring, and workers look for themselves."""

    def __init__(self, database: Database, ring: Callable[[str], None]) -> None:
        self._database = database
        self._ring = ring
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)

    def __enter__(self) -> "Bell":
        self.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()

    def start(self) -> None:
        if self._database.postgresql:
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                connection = _listen(self._database)
            except psycopg.Error as problem:
                log.warning("no listening connection", sqlstate=problem.sqlstate)
                self._stop.wait(AGAIN_S)
                continue
            self._ring("")
            with connection, suppress(psycopg.Error):
                while not self._stop.is_set():
                    for queue in _heard(connection, 0.5):
                        self._ring(queue)


def _listen(database: Database) -> psycopg.Connection:
    arguments = database.engine.dialect.create_connect_args(database.url)[1]
    connection: psycopg.Connection = psycopg.connect(**arguments, autocommit=True)
    connection.execute(f"LISTEN {CHANNEL}")
    return connection


def _heard(connection: psycopg.Connection, seconds: float) -> set[str]:
    """What was announced, waiting at most `seconds` for the first."""
    heard = {notice.payload for notice in connection.notifies(timeout=0)}
    if not heard:
        select.select([connection.fileno()], [], [], seconds)
        heard = {notice.payload for notice in connection.notifies(timeout=0)}
    return heard
