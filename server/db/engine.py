"""The database: one engine, reading and writing transactions, each bound to a scope.

SQLite is the embedded default: WAL so that readers never wait for a writer, synchronous FULL so that a commit
is on the disk, BEGIN IMMEDIATE for writers so that one that reads and then writes cannot fail half-way.

PostgreSQL serves a fleet of several processes or machines: readers see one snapshot (REPEATABLE READ, READ
ONLY), writers READ COMMITTED with row locks, and row-level security stands behind every query
(server/db/tenancy.py).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import msgspec
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from server.db.queueing import Queue
from server.db.scope import Scope, ScopedSession

BUSY_MS = 15_000  # how long a SQLite writer waits for its turn
MOST_CONNECTIONS = {"sqlite": 64, "postgresql": 24}  # of one process; PostgreSQL takes 100 of all together
_KEPT_OPEN = 8
_WRITES = "thuisloket_writes"


class Database:
    """Open with a SQLAlchemy URL. Thread-safe; open it after a fork, never before."""

    def __init__(self, url: str) -> None:
        self.url = read_url(url)
        self.postgresql = self.url.get_backend_name() == "postgresql"
        self.engine = create_engine(
            self.url,
            pool_size=_KEPT_OPEN,
            max_overflow=MOST_CONNECTIONS[self.url.get_backend_name()] - _KEPT_OPEN,
            pool_timeout=20,
            pool_pre_ping=self.postgresql,  # a restart of the server must not cost the next one its work
            hide_parameters=True,  # they stay out of error messages: they may be a person's
            json_serializer=_json,
        )
        self._reader, self._writer = self._split()
        self._queue = Queue("" if self.postgresql else self.url.database or "")

    def _split(self) -> tuple[Engine, Engine]:
        writer = self.engine.execution_options(**{_WRITES: True})
        if self.postgresql:
            snapshot = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            return self.engine.execution_options(**snapshot), writer
        event.listen(self.engine, "connect", _set_up_sqlite)
        event.listen(self.engine, "begin", _begin_sqlite)
        return self.engine, writer

    @contextmanager
    def reading(self, scope: Scope) -> Iterator[ScopedSession]:
        """A session on one consistent state of the database; writing in it is an error."""
        info = {"scope": scope, "reading": True}
        with ScopedSession(self._reader, info=info, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self, scope: Scope) -> Iterator[ScopedSession]:
        """One transaction: committed (on disk) at the end of the block, undone if an exception leaves it."""
        info = {"scope": scope, "reading": False}
        with (
            nullcontext() if self.postgresql else self._queue.turn(BUSY_MS / 1000),
            ScopedSession(self._writer, info=info, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

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


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _set_up_sqlite(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    del record
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None  # we say BEGIN ourselves, below
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",
        f"busy_timeout = {BUSY_MS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
