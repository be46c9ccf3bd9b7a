"""The newest list of officers that the fleet signed for this kit, until when it counts, and codes used up."""

from dataclasses import dataclass
from datetime import datetime

from device.vault.database import Database, Transaction
from protocol.instant import read_instant, write_instant

TABLES = (
    "CREATE TABLE IF NOT EXISTS roster (only INTEGER PRIMARY KEY CHECK (only = 1), version INTEGER NOT NULL,"
    " issued TEXT NOT NULL, ends TEXT NOT NULL, wall_ends TEXT NOT NULL, token TEXT NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS enrolled (nonce TEXT PRIMARY KEY) STRICT",
)


@dataclass(frozen=True)
class Held:
    """`ends` by the kit's reckoning, `wall_ends` by the clock; `token` as the fleet signed it."""

    version: int
    issued: datetime
    ends: datetime
    wall_ends: datetime
    token: str


def read(database: Database) -> Held | None:
    """None where there never was one: then nobody asks for it."""
    row = database.row("SELECT version, issued, ends, wall_ends, token FROM roster")
    if row is None:
        return None
    version, issued, ends, wall_ends, token = row
    return Held(version, read_instant(issued), read_instant(ends), read_instant(wall_ends), token)


def keep(tx: Transaction, held: Held) -> None:
    """In place of the one before; who calls this has seen that it is no older."""
    times = map(write_instant, (held.issued, held.ends, held.wall_ends))
    tx.execute("INSERT OR REPLACE INTO roster VALUES (1, ?, ?, ?, ?, ?)", (held.version, *times, held.token))


def is_used(database: Database, nonce: str) -> bool:
    """Whether the enrolment with this number let somebody in already."""
    return database.row("SELECT 1 FROM enrolled WHERE nonce = ?", (nonce,)) is not None


def use(tx: Transaction, nonce: str) -> None:
    tx.execute("INSERT INTO enrolled VALUES (?)", (nonce,))
