"""The kit's one database file: SQLite, safe against power cuts, leaving no deleted byte behind in its files.

WAL with synchronous FULL loses nothing that was committed, whatever the moment of the cut; WAL with NORMAL
was seen to lose acknowledged rows. `secure_delete` overwrites what is deleted, and after a transaction that
shreds the log is emptied too, because it still holds the old pages.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from device.errors import Code, KitError, Remedy
from device.vault.tables import TABLES, VERSION

Row = tuple[Any, ...]
_BUSY_S = 5.0
_SETTINGS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA secure_delete=ON",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",  # no temporary file ever
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR)


class Transaction:
    """What one transaction may do. It is over when the `with` block is."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: sqlite3.Connection | None = connection
        self.shreds = False

    def execute(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        if self._connection is None:
            raise RuntimeError("the transaction is over")
        return self._connection.execute(sql, values)

    def shred(self) -> None:
        """What was deleted here must not survive in the log either: empty it after the commit."""
        self.shreds = True

    def end(self) -> None:
        self._connection = None


class Database:
    """One connection, used by the thread that made it and no other (sqlite3 checks). File mode 0600."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as problem:
            raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"no vault: {problem.strerror}") from problem
        with _translated(), ExitStack() as undo:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S)
            undo.callback(self._connection.close)
            for setting in _SETTINGS:
                self._connection.execute(setting)
            # A crash may have come between a commit that shreds and the emptying of the log.
            self._shredding = not self._empty_log()
            self._lay_tables()
            undo.pop_all()

    def define(self, statements: Iterable[str]) -> None:
        """Lay a room's own tables: each statement `CREATE ... IF NOT EXISTS`."""
        with self.transaction() as tx:
            for statement in statements:
                tx.execute(statement)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All or nothing, on disk when the block is left. KitError disk-full, vault-damaged.

        BEGIN IMMEDIATE: whoever else writes is waited for now, not at the commit."""
        if self._connection.in_transaction:
            raise RuntimeError("a transaction within a transaction")
        tx = Transaction(self._connection)
        with _translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield tx
                self._connection.execute("COMMIT")
            finally:
                tx.end()
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            if tx.shreds or self._shredding:
                self._shredding = not self._empty_log()

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Read. Inside a transaction it sees what that has written so far."""
        with _translated():
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[object] = ()) -> Row | None:
        """The first row, or None."""
        with _translated():
            found: Row | None = self._connection.execute(sql, values).fetchone()
            return found

    def close(self) -> None:
        self._connection.close()

    def _lay_tables(self) -> None:
        held = self.rows("PRAGMA user_version")[0][0]
        if held not in (0, VERSION):
            raise KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, f"a vault of version {held}")
        if held == 0:
            self.define([*TABLES, f"PRAGMA user_version={VERSION}"])

    def _empty_log(self) -> bool:
        """False when another reader held the log; then the next commit tries again."""
        with _translated():
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy


@contextmanager
def _translated() -> Iterator[None]:
    """What the disk did to SQLite, in the kit's words; our own mistakes stay what they are."""
    try:
        yield
    except sqlite3.Error as problem:
        primary = getattr(problem, "sqlite_errorcode", 0) & 0xFF
        if primary == sqlite3.SQLITE_FULL:
            raise KitError(Code.DISK_FULL, Remedy.WORKSHOP, "the vault cannot grow") from problem
        if primary in _DAMAGED:
            raise KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, problem.sqlite_errorname) from problem
        raise
