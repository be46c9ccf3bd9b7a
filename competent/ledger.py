"""What the reference service has taken in: one row per application, on disk before it is answered.

It keeps ids, digests and the answer; never the parts.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from competent.asking import TABLES as WHOLES
from competent.asking import Whole, row_of, whole_of
from competent.behaviour import ACCEPT, Behaviour, read_behaviour

_TABLES = """
CREATE TABLE IF NOT EXISTS application (
    packet_id TEXT PRIMARY KEY, visit_id TEXT NOT NULL, kit_id TEXT NOT NULL, manifest_sha256 TEXT NOT NULL,
    verdict TEXT NOT NULL, code TEXT NOT NULL, parts TEXT NOT NULL, receipt TEXT NOT NULL,
    answer_from REAL NOT NULL, deliveries INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS behaviour (
    place INTEGER PRIMARY KEY, what TEXT NOT NULL, times INTEGER NOT NULL) STRICT;
"""


@dataclass(frozen=True)
class Application:
    """`parts`: canonical JSON of [{name, sha256}]. `answer_from`: Unix time when the receipt may be given."""

    packet_id: str
    visit_id: str
    kit_id: str
    manifest_sha256: str
    verdict: str
    code: str
    parts: str
    receipt: str
    answer_from: float


@dataclass(frozen=True)
class Count:
    """accepted and rejected applications, distinct visits among the accepted, deliveries of all, and
    applications that parts were asked for anew of."""

    accepted: int
    rejected: int
    distinct: int
    deliveries: int
    recapture: int = 0


_EVERYTHING = (
    "SELECT packet_id, visit_id, kit_id, manifest_sha256, verdict, code, parts, receipt, answer_from"
    " FROM application"
)


class Ledger:
    """One SQLite file; every call opens its own connection, so any thread or process may use it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as connection:
            connection.executescript(_TABLES + WHOLES)

    def find(self, packet_id: str) -> Application | None:
        with self._open() as connection:
            return _find(connection, packet_id)

    def whole(self, packet_id: str) -> Whole | None:
        with self._open() as connection:
            row = connection.execute("SELECT * FROM whole WHERE packet_id = ?", (packet_id,)).fetchone()
        return None if row is None else whole_of(row)

    def enter(
        self, application: Application, deliveries: int = 1, wholes: Sequence[Whole] = ()
    ) -> Application:
        """Enter an application with what it changes of others, in one transaction, or count one more delivery
        of it; what the ledger then says of it."""
        with self._open() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            entered = connection.execute(
                "INSERT INTO application VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
                (
                    application.packet_id,
                    application.visit_id,
                    application.kit_id,
                    application.manifest_sha256,
                    application.verdict,
                    application.code,
                    application.parts,
                    application.receipt,
                    application.answer_from,
                ),
            )
            if entered.rowcount:
                rows = [row_of(whole) for whole in wholes]
                connection.executemany("INSERT OR REPLACE INTO whole VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            connection.execute(
                "UPDATE application SET deliveries = deliveries + ? WHERE packet_id = ?",
                (deliveries, application.packet_id),
            )
            held = _find(connection, application.packet_id)
        assert held is not None  # entered two statements ago
        return held

    def everything(self) -> list[Application]:
        """All applications, in the order of their ids."""
        with self._open() as connection:
            rows = connection.execute(_EVERYTHING + " ORDER BY packet_id").fetchall()
        return [Application(*row) for row in rows]

    def count(self) -> Count:
        with self._open() as connection:
            row = connection.execute(
                "SELECT count(*) FILTER (WHERE verdict = 'accepted'),"
                " count(*) FILTER (WHERE verdict = 'rejected'),"
                " count(DISTINCT visit_id) FILTER (WHERE verdict = 'accepted'), coalesce(sum(deliveries), 0),"
                " count(*) FILTER (WHERE verdict = 'recapture')"
                " FROM application"
            ).fetchone()
        return Count(*row)

    def order(self, what: str, times: int) -> None:
        """Behave so towards the next `times` new applications, after those ordered before. ValueError."""
        read_behaviour(what)
        with self._open() as connection, connection:
            connection.execute("INSERT INTO behaviour (what, times) VALUES (?, ?)", (what, times))

    def next_behaviour(self) -> Behaviour:
        """Take one from what was ordered; accept when nothing was."""
        with self._open() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            row: Sequence[object] | None = connection.execute(
                "SELECT place, what FROM behaviour ORDER BY place LIMIT 1"
            ).fetchone()
            if row is None:
                return ACCEPT
            connection.execute("UPDATE behaviour SET times = times - 1 WHERE place = ?", (row[0],))
            connection.execute("DELETE FROM behaviour WHERE times <= 0")
            return read_behaviour(str(row[1]))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            yield connection


def _find(connection: sqlite3.Connection, packet_id: str) -> Application | None:
    row = connection.execute(
        _EVERYTHING + " WHERE packet_id = ?",
        (packet_id,),
    ).fetchone()
    return None if row is None else Application(*row)
