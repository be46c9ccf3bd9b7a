"""The database: one engine, reading and writing transactions, each bound to a scope.

SQLite is the embedded default: WAL so that readers never wait for a writer, synchronous FULL so that a commit
is on the disk, BEGIN IMMEDIATE for writers so that one that reads and then writes cannot fail half-way.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from server.db.scope import Scope, ScopedSession

BUSY_MS = 15_000  # how long a SQLite writer waits for its turn
_WRITES = "thuisloket_writes"


class Database:
    """Open with a SQLAlchemy URL. Thread-safe; open it after a fork, never before."""

    def __init__(self, url: str) -> None:
        # Parameters stay out of error messages: they may be a person's.
        self.engine = create_engine(url, pool_size=8, max_overflow=56, pool_timeout=20, hide_parameters=True)
        self._writer = self.engine.execution_options(**{_WRITES: True})
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _set_up_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def reading(self, scope: Scope) -> Iterator[ScopedSession]:
        """A session on one consistent state of the database; writing in it is an error."""
        info = {"scope": scope, "reading": True}
        with ScopedSession(self.engine, info=info, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self, scope: Scope) -> Iterator[ScopedSession]:
        """One transaction: committed (on disk) at the end of the block, undone if an exception leaves it."""
        info = {"scope": scope, "reading": False}
        with ScopedSession(self._writer, info=info, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        self.engine.dispose()


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


class ChangeWatch:
    """Tells cheaply whether another connection may have committed something. For one thread."""

    def __init__(self, database: Database) -> None:
        self._sqlite = database.engine.dialect.name == "sqlite"
        self._connection = database.engine.raw_connection() if self._sqlite else None
        self._seen = self._data_version()

    def changed(self) -> bool:
        """Since the last call. Always true where the database cannot tell."""
        if self._connection is None:
            return True
        before, self._seen = self._seen, self._data_version()
        return self._seen != before

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _data_version(self) -> int:
        if self._connection is None:
            return 0
        cursor = self._connection.cursor()
        try:
            cursor.execute("PRAGMA data_version")
            (version,) = cursor.fetchall()[0]
            return int(version)
        finally:
            cursor.close()
