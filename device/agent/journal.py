"""The journal: every fact of every visit, in order, on disk before anything else knows of it.

It is a table in the vault's database, so that a fact and the record it names (or the keys it destroys) are
one transaction. A fact the fleet must hear of carries its message id from the start: told twice, it is one
message.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from device.agent.events import Abandoned, Answered, Event, Expired, Opened, Sealed
from device.errors import Code, KitError, Remedy
from device.vault.database import Database, Row, Transaction
from protocol.ids import is_ulid, new_ulids
from protocol.messages import instant, moment

TABLES = (
    "CREATE TABLE IF NOT EXISTS journal (visit_id TEXT NOT NULL, n INTEGER NOT NULL, at TEXT NOT NULL,"
    " event TEXT NOT NULL, messages TEXT NOT NULL, told INTEGER NOT NULL CHECK (told IN (0, 1)),"
    " PRIMARY KEY (visit_id, n)) STRICT, WITHOUT ROWID",
)

_APPEND = "INSERT INTO journal SELECT ?, coalesce(max(n), 0) + 1, ?, ?, ?, 0 FROM journal WHERE visit_id = ?"
_READ = "SELECT visit_id, n, at, event, messages FROM journal ORDER BY visit_id, n"
_UNTOLD = (
    "SELECT visit_id, n, at, event, messages FROM journal WHERE messages != '' AND told = 0"
    " ORDER BY at, visit_id, n"
)

MESSAGES: Mapping[type[Event], int] = {Opened: 1, Sealed: 3, Answered: 2, Abandoned: 2, Expired: 2}
"""What the fleet hears of, and in how many messages."""

SHRED = frozenset({Sealed, Answered, Abandoned, Expired})
"""Facts that destroy something: their last message is its certificate. Journals begun before there were
certificates have one message less."""

_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


@dataclass(frozen=True)
class Entry:
    """One fact as it was noted; `messages` are the ids under which the fleet is told."""

    visit_id: str
    n: int
    at: datetime
    event: Event
    messages: tuple[str, ...]


class Journal:
    """All calls on the thread that owns the database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.define(TABLES)

    def append(self, tx: Transaction, visit_id: str, at: datetime, events: tuple[Event, ...]) -> None:
        """Note the facts at the end of the visit's; they count when the transaction is committed."""
        for event in events:
            messages = " ".join(new_ulids(MESSAGES.get(type(event), 0)))
            text = msgspec.json.encode(event).decode()
            tx.execute(_APPEND, (visit_id, instant(at), text, messages, visit_id))

    def read(self) -> dict[str, tuple[Entry, ...]]:
        """Every visit's facts in order. KitError vault-damaged when one cannot be read or is missing."""
        found: dict[str, list[Entry]] = defaultdict(list)
        for row in self.database.rows(_READ):
            entry = _entry(row)
            before = found[entry.visit_id]
            if entry.n != len(before) + 1 or (entry.n == 1) != isinstance(entry.event, Opened):
                raise _damaged(entry.visit_id, entry.n)
            before.append(entry)
        return {visit_id: tuple(entries) for visit_id, entries in found.items()}

    def untold(self) -> list[Entry]:
        """The facts that the fleet has not been told yet, oldest first."""
        return [_entry(row) for row in self.database.rows(_UNTOLD)]

    def mark_told(self, tx: Transaction, entry: Entry) -> None:
        tx.execute("UPDATE journal SET told = 1 WHERE visit_id = ? AND n = ?", (entry.visit_id, entry.n))


def _entry(row: Row) -> Entry:
    visit_id, n, at, text, messages = row
    try:
        event = _decoder.decode(text)
        noted = moment(at)
    except (ValueError, msgspec.DecodeError) as problem:
        raise _damaged(visit_id, n) from problem
    ids = tuple(messages.split())
    lacking = MESSAGES.get(type(event), 0) - len(ids)
    if not all(map(is_ulid, (visit_id, *ids))) or lacking not in ((0, 1) if type(event) in SHRED else (0,)):
        raise _damaged(visit_id, n)
    return Entry(visit_id, n, noted, event, ids)


def _damaged(visit_id: str, n: int) -> KitError:
    """`visit_id` is the log's, when it is one."""
    whose = visit_id if is_ulid(visit_id) else "a visit"
    return KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, f"journal of {whose}, row {n}")
