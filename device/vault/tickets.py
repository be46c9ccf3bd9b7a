"""What the key source gave the gate to keep for each officer: opaque here, useless without device and PIN.

It lies in the database and is written in one transaction with what hangs on it, so that a power cut while a
PIN is replaced leaves the old pair or the new one, never half of each.
"""

from device.vault.database import Database, Transaction

TABLES = ("CREATE TABLE IF NOT EXISTS ticket (officer_id TEXT PRIMARY KEY, ticket BLOB NOT NULL) STRICT",)


class Tickets:
    def __init__(self, database: Database) -> None:
        self._database = database
        database.define(TABLES)

    def of(self, officer_id: str) -> bytes:
        """Empty for an officer without one: a vault from before there were tickets, made with a file."""
        row = self._database.row("SELECT ticket FROM ticket WHERE officer_id = ?", (officer_id,))
        return b"" if row is None else bytes(row[0])

    def all(self) -> list[bytes]:
        """Of every officer."""
        return [bytes(row[0]) for row in self._database.rows("SELECT ticket FROM ticket")]

    def write(self, tx: Transaction, officer_id: str, ticket: bytes) -> None:
        tx.execute("INSERT OR REPLACE INTO ticket VALUES (?, ?)", (officer_id, ticket))

    def drop(self, tx: Transaction, officer_id: str) -> None:
        tx.execute("DELETE FROM ticket WHERE officer_id = ?", (officer_id,))
