"""The kit's one database file: SQLite, safe against power cuts, leaving no deleted byte behind in its files.

WAL with synchronous FULL loses nothing that was committed, whatever the moment of the cut; WAL with NORMAL
was seen to lose acknowledged rows. `secure_delete` overwrites what is deleted, and after a transaction that
shreds the log is emptied too, because it still holds the old pages. What must be gone before that, and
from the blocks the log leaves behind, has its secret in `slots`, overwritten right after the commit.
"""

import os
import sqlite3
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from device.errors import Code, KitError, Remedy
from device.vault import slots
from device.vault.log import Log
from device.vault.parcels import Parcels
from device.vault.tables import FORMER, FROM_FORMER, TABLES, VERSION

Row = tuple[Any, ...]
_BUSY_S = 5.0
_SETTINGS = (
    "PRAGMA page_size=4096",  # of a new vault: a commit writes every page it touches whole
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA secure_delete=ON",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-16384",  # KiB: a visit's records are still at hand when it is sealed
    "PRAGMA temp_store=MEMORY",  # no temporary file ever
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR)


class Transaction:
    """What one transaction may do. It is over when the `with` block is."""

    def __init__(self, connection: sqlite3.Connection, committed: Callable[["Transaction"], None]) -> None:
        """`committed` is told of it once it is on disk."""
        self._connection = connection
        self._committed = committed
        self._over = False
        self.shreds = False
        self.ends = False
        self.overwritten: list[int] = []
        self.removed: list[str] = []
        self.firsts: list[Callable[[], None]] = []

    def execute(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        if self._over:
            raise RuntimeError("the transaction is over")
        return self._connection.execute(sql, values)

    def shred(self) -> None:
        """What was deleted here must not survive in the log either: empty it after the commit."""
        self.shreds = True

    def end(self, visit_id: str) -> None:
        """Destroy the visit's key now; its records, unreadable then, go at the next `settle`, or when the
        database is opened again."""
        self.execute("UPDATE visit_key SET wrapped = x'' WHERE visit_id = ?", (visit_id,))
        self.ends = True

    def first(self, must: Callable[[], None]) -> None:
        """Commit only once this has returned. What it raises undoes the transaction."""
        self.firsts.append(must)

    def overwrite(self, slot: int) -> None:
        """Overwrite this slot right after the commit."""
        self.overwritten.append(slot)

    def remove(self, packet_id: str) -> None:
        """Remove this packet's file right after the commit."""
        self.removed.append(packet_id)

    def __enter__(self) -> "Transaction":
        """BEGIN IMMEDIATE: whoever else writes is waited for now, not at the commit."""
        with _translated:
            self._connection.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        with _translated:
            try:
                if problem is None:
                    for must in self.firsts:
                        must()
                    self._connection.execute("COMMIT")
            finally:
                self._over = True
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            if problem is None:
                self._committed(self)
        _translated.__exit__(kind, problem, trace)


class Database:
    """One connection, used by the thread that made it and no other (sqlite3 checks). File mode 0600."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.slots = slots.Slots(path.with_name(f"{path.name}-slots"))
        self.parcels = Parcels(path)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as problem:
            raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"no vault: {problem.strerror}") from problem
        with _translated, ExitStack() as undo:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S)
            undo.callback(self._connection.close)
            self._log = Log(self._connection, path)
            for setting in _SETTINGS:
                self._connection.execute(setting)
            # A crash may have come between a commit that shreds and the emptying of the log.
            self._shredding = True
            self._empty_log()
            self._ended = True
            self._unwritten: list[int] = []
            self._lay_tables()
            self._overwrite_left_over()
            self.parcels.clear(self._packets)
            self._remove_ended()
            undo.pop_all()

    def define(self, statements: Iterable[str]) -> None:
        """Lay a room's own tables: each statement `CREATE ... IF NOT EXISTS`."""
        with self.transaction() as tx:
            for statement in statements:
                tx.execute(statement)

    def transaction(self) -> Transaction:
        """All or nothing, on disk when its `with` block is left. KitError disk-full, vault-damaged."""
        if self._connection.in_transaction:
            raise RuntimeError("a transaction within a transaction")
        return Transaction(self._connection, self._committed)

    def _committed(self, tx: Transaction) -> None:
        self._unwritten += tx.overwritten
        self._overwrite()
        for packet_id in tx.removed:
            self.parcels.remove(packet_id)
        self._ended = self._ended or tx.ends
        self._shredding = self._shredding or tx.shreds
        if self._shredding:
            self._empty_log()

    def settle(self) -> None:
        """In a quiet moment, when nobody waits: empty a log that holds what was shredded, or has grown, and
        lay it out for the next commits. KitError disk-full, vault-damaged."""
        self._overwrite()
        if self._unwritten:
            raise KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, "a slot cannot be overwritten")
        self.parcels.trim()
        self._remove_ended()
        if self._shredding or not self._log.is_ready():
            with _translated:
                self._shredding = not self._log.empty() and self._shredding
                self._log.lay()

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Read. Inside a transaction it sees what that has written so far."""
        with _translated:
            return self._connection.execute(sql, values).fetchall()

    def each(self, sql: str, values: Sequence[object] = ()) -> Generator[Row, None, None]:
        """Read, one row at a time: of large ones no two need be in memory. To be closed by who asks."""
        with _translated:
            yield from self._connection.execute(sql, values)

    def row(self, sql: str, values: Sequence[object] = ()) -> Row | None:
        """The first row, or None."""
        with _translated:
            found: Row | None = self._connection.execute(sql, values).fetchone()
            return found

    def close(self) -> None:
        self.parcels.give_up_room()
        self._connection.close()

    def _lay_tables(self) -> None:
        held = self._version()
        if held not in (0, FORMER, VERSION):
            raise KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, f"a vault of version {held}")
        if held == 0:
            self.define([*TABLES, f"PRAGMA user_version={VERSION}"])
        if held == FORMER:
            self._give_packets_files()
        if not self.rows("SELECT 1 FROM sqlite_schema WHERE name = 'visit_slot'"):
            self.define(slots.TABLES)

    def _version(self) -> int:
        return int(self.rows("PRAGMA user_version")[0][0])

    def _give_packets_files(self) -> None:
        """From the version before. A cut of the power in between leaves files without a row; then anew."""
        with self.transaction() as tx:
            if self._version() != FORMER:
                return  # another process was quicker
            self.parcels.clear(set)
            for packet_id, data in tx.execute("SELECT packet_id, data FROM packet"):
                with self.parcels.create(packet_id) as file:
                    file.begin(data)
                    file.finish()
            for statement in FROM_FORMER:
                tx.execute(statement)
            tx.shred()

    def _packets(self) -> set[str]:
        return {row[0] for row in self.rows("SELECT packet_id FROM packet")}

    def used_slots(self) -> list[int]:
        """Of visits that have ended as well, until their rows are gone."""
        return [row[0] for row in self.rows("SELECT slot FROM visit_slot")]

    def _live_slots(self) -> list[int]:
        return [
            row[0]
            for row in self.rows(
                "SELECT slot FROM visit_slot JOIN visit_key USING (visit_id) WHERE wrapped != x''"
            )
        ]

    def _remove_ended(self) -> None:
        """The records of visits that have ended, and what the log holds of them."""
        if not self._ended:
            return
        if self.rows("SELECT 1 FROM visit_key WHERE wrapped = x'' LIMIT 1"):
            with self.transaction() as tx:
                tx.execute("DELETE FROM visit_key WHERE wrapped = x''")
                tx.shred()
        self._ended = False

    def _overwrite_left_over(self) -> None:
        """A crash may have come between a commit that destroys a visit and the overwriting of its slot.

        Under the lock of a transaction: a slot may be on its way into a row that another process writes."""
        if self.slots.left_over(self._live_slots()):
            with self.transaction():
                self._unwritten += self.slots.left_over(self._live_slots())

    def _empty_log(self) -> None:
        """What the disk refuses now is tried again: the commit that asked for it counts all the same, and
        when the vault is opened there may be files to clear away that fill the disk."""
        with suppress(KitError), _translated:
            self._shredding = not self._log.empty()

    def _overwrite(self) -> None:
        """What the disk refuses now is tried again, as well."""
        if self._unwritten:
            with suppress(OSError):
                self.slots.overwrite(self._unwritten)
                self._unwritten = []


class _Translated:
    """What the disk did to SQLite, in the kit's words; our own mistakes stay what they are.

    It is around every statement: a generator for each would take longer than most of them."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if not isinstance(problem, sqlite3.Error):
            return
        primary = getattr(problem, "sqlite_errorcode", 0) & 0xFF
        if primary == sqlite3.SQLITE_FULL:
            raise KitError(Code.DISK_FULL, Remedy.WORKSHOP, "the vault cannot grow") from problem
        if primary in _DAMAGED:
            raise KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, problem.sqlite_errorname) from problem


_translated = _Translated()
