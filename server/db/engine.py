"""The database: one engine, reading and writing transactions, each bound to a scope.

SQLite is the embedded default: WAL so that readers never wait for a writer, synchronous FULL so that a commit
is on the disk, BEGIN IMMEDIATE for writers so that one that reads and then writes cannot fail half-way.

PostgreSQL serves a fleet of several processes or machines: readers see one snapshot (REPEATABLE READ, READ
ONLY), writers READ COMMITTED with row locks, and row-level security stands behind every query
(server/db/tenancy.py).
"""

import select
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import msgspec
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from server.db import holding
from server.db.queueing import Queue, WriterHeld
from server.db.scope import EVERYONE, Scope, ScopedSession

PATIENCE_S = 15.0  # how long a SQLite writer waits for its turn, and for who takes none; and for a connection
MOST_CONNECTIONS = {"sqlite": 64, "postgresql": 24}  # of one process; PostgreSQL takes 100 of all together
_KEPT_OPEN = 8
_WRITES = "thuisloket_writes"
_PATIENCE = "thuisloket_patience_s"
_LEAST_S = 0.1


class Database:
    """Open with a SQLAlchemy URL. Thread-safe; open it after a fork, never before. `patience_s`: for SQLite's
    writer, and for a connection when all are taken."""

    def __init__(self, url: str, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self.url = read_url(url)
        self.postgresql = self.url.get_backend_name() == "postgresql"
        self.engine = create_engine(
            self.url,
            pool_size=_KEPT_OPEN,
            max_overflow=MOST_CONNECTIONS[self.url.get_backend_name()] - _KEPT_OPEN,
            pool_timeout=patience_s,
            hide_parameters=True,  # they stay out of error messages: they may be a person's
            json_serializer=_json,
        )
        self._reader, self._writer = self._split()
        self._queue = Queue("" if self.postgresql else self.url.database or "")

    def _split(self) -> tuple[Engine, Engine]:
        writer = self.engine.execution_options(**{_WRITES: True})
        if self.postgresql:
            event.listen(self.engine, "checkout", _still_there)
            snapshot = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            return self.engine.execution_options(**snapshot), writer
        event.listen(self.engine, "connect", self._set_up_sqlite)
        event.listen(self.engine, "begin", self._begin_on_sqlite)
        return self.engine, writer

    @contextmanager
    def reading(self, scope: Scope) -> Iterator[ScopedSession]:
        """A session on one consistent state of the database; writing in it is an error."""
        info = {"scope": scope, "reading": True}
        with ScopedSession(self._reader, info=info, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self, scope: Scope, patience_s: float | None = None) -> Iterator[ScopedSession]:
        """One transaction: committed (on disk) at the end of the block, undone if an exception leaves it.
        WriterHeld, with nothing begun, when SQLite's writer did not become ours in time."""
        info = {"scope": scope, "reading": False}
        patience_s, began = self._patience_s if patience_s is None else patience_s, time.monotonic()
        with (
            nullcontext() if self.postgresql else self._queue.turn(patience_s),
            ScopedSession(self._writer, info=info, expire_on_commit=False) as session,
            session.begin(),
        ):
            if not self.postgresql:
                self._begin(session, began, patience_s)
            yield session

    def writable(self, patience_s: float) -> None:
        """WriterHeld when we could not write in that time."""
        if not self.postgresql:
            with self.writing(EVERYONE, patience_s):
                pass

    def _begin(self, session: ScopedSession, began: float, patience_s: float) -> None:
        """At once, so that what stands in the way shows before anything is done. What is left of the patience
        is for who takes no turns."""
        left_s = max(_LEAST_S, began + patience_s - time.monotonic())
        try:
            session.connection(execution_options={_PATIENCE: left_s})
        except OperationalError as problem:
            if isinstance(problem.orig, sqlite3.OperationalError) and (
                problem.orig.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            ):
                waited_s = time.monotonic() - began
                raise WriterHeld(holding.of_writer(self.url.database or ""), waited_s) from problem
            raise

    def _set_up_sqlite(self, connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        del record
        assert isinstance(connection, sqlite3.Connection)
        connection.isolation_level = None  # we say BEGIN ourselves, below
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    def _begin_on_sqlite(self, connection: Connection) -> None:
        options = connection.get_execution_options()
        patience_s = options.get(_PATIENCE, self._patience_s)  # said each time: connections serve many
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(patience_s * 1000)}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(_WRITES, False) else "BEGIN")

    def close(self) -> None:
        self.engine.dispose()
        self._queue.close()


def read_url(text: str) -> URL:
    """The URL of a database we can speak to, the driver filled in. ValueError: another one, or a password."""
    url = make_url(text)
    if url.password is not None:
        raise ValueError("no password in here: use peer authentication, or ~/.pgpass")
    if url.drivername in ("postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername == "sqlite":
        return url
    raise ValueError("expected sqlite:///... or postgresql://...")


def _still_there(connection: Any, record: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
    """A restart of the server must not cost the next one its work: a connection that has something to say
    while nobody asks, the end of it above all, is not used again. Costs no exchange, as asking would."""
    del record, proxy
    looking = select.poll()
    looking.register(connection.fileno(), select.POLLIN)
    if connection.closed or looking.poll(0):
        raise InvalidatePoolError


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
