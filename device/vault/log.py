"""SQLite's write-ahead log, laid out ahead: so that a commit overwrites blocks that are the log's already.

A log that grows with the commit makes the file system note its new size and blocks, and the commit waits for
that too; one that is only overwritten waits for its own bytes. So in a quiet moment the emptied log is filled
with zeros, which SQLite takes for an empty log (https://sqlite.org/fileformat2.html#walformat), and begun.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

ROOM = 256 * 1024
"""Bytes laid out. Half of it is always left, which is more than the transaction takes that seals a visit."""

_HEADER = 32  # bytes: magic, version, page size, checkpoint number, two salts, two checksums
_FRAME_HEADER = 24  # page number, size of the database, the same salts, two checksums
_PAGE_SIZE = slice(8, 12)
_SALTS = slice(16, 24)
_FRAME_SALTS = 8  # offset in a frame


class Log:
    """The log of one connection, used by its thread alone. sqlite3.Error as the connection raises it."""

    def __init__(self, connection: sqlite3.Connection, database: Path) -> None:
        self._connection = connection
        self._path = database.with_name(f"{database.name}-wal")

    def empty(self) -> bool:
        """Bring everything into the database and cut the log off. False when another reader held it."""
        busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def is_ready(self) -> bool:
        """Whether what is laid out has room for the next commits."""
        try:
            with self._path.open("rb") as file:
                return os.fstat(file.fileno()).st_size == ROOM and _used(file.read()) <= ROOM // 2
        except FileNotFoundError:
            return False

    def lay(self) -> None:
        """Lay it out, when it is empty, and begin it: its beginning would cost a commit another flush.

        Only while nobody else can write to it, and never before its cutting off is on disk: what is left of
        an old log must not be taken for one."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            with suppress(OSError):  # a log that is not laid out is as safe, and slower
                self._fill()
            self._connection.execute(
                f"PRAGMA user_version = {self._connection.execute('PRAGMA user_version').fetchone()[0]}"
            )
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _fill(self) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(handle).st_size == 0:
                os.fsync(handle)
                os.pwrite(handle, bytes(ROOM), 0)
                os.fsync(handle)
        finally:
            os.close(handle)


def _used(log: bytes) -> int:
    """Bytes up to the end of the frames that belong to this beginning of the log."""
    frame = _FRAME_HEADER + int.from_bytes(log[_PAGE_SIZE])
    at = _HEADER
    while any(log[_SALTS]) and log[at + _FRAME_SALTS : at + _FRAME_SALTS + 8] == log[_SALTS]:
        at += frame
    return at
