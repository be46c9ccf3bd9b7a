"""One at a time, across processes: PostgreSQL's advisory locks. On SQLite the one writer is alone anyway."""

import zlib
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from server.db.engine import Database

_T = TypeVar("_T")
_GAVE_WAY = {"40P01", "40001"}  # deadlock_detected, serialization_failure: PostgreSQL, appendix A
_TRIES = 6


def whole(work: Callable[[], _T]) -> _T:
    """What `work`, a transaction from its beginning to its end, returns. Of two that wait for each other
    PostgreSQL ends one: that is done again, a few times."""
    for _ in range(_TRIES - 1):
        try:
            return work()
        except DBAPIError as problem:
            if getattr(problem.orig, "sqlstate", "") not in _GAVE_WAY:
                raise
    return work()


def take_turn(db: Session, name: str) -> None:
    """Wait until no other transaction holds `name`, and hold it until this one ends. For what has no row yet
    that could be locked; two names that meet in one number wait for each other needlessly, no more."""
    if db.get_bind().dialect.name == "postgresql":
        db.execute(select(func.pg_advisory_xact_lock(_number(name))))


class Leader:
    """Of all processes on one database, the one that does what has to happen by the clock. For one thread.

    The place is held by an open connection: a leader that dies, or loses the database, makes room."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._number = _number(name)
        self._connection: Connection | None = None

    def leads(self) -> bool:
        """Whether it is us, now. Always on SQLite: its work is done twice at worst, and is the same twice."""
        if not self._database.postgresql:
            return True
        try:
            if self._connection is None:
                self._connection = self._database.engine.connect().execution_options(
                    isolation_level="AUTOCOMMIT"
                )
                held = self._connection.scalar(select(func.pg_try_advisory_lock(self._number)))
                if not held:
                    self.leave()
                return bool(held)
            return self._connection.scalar(select(1)) == 1
        except DBAPIError:
            self.leave()
            return False

    def leave(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()  # closes it, and with it goes the lock: the pool must not keep both
            self._connection.close()
            self._connection = None


def _number(name: str) -> int:
    """A lock has a number: 64 bits, of which these use 32."""
    return zlib.crc32(name.encode())
