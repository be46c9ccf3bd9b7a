"""The newest recipient list of each service this kit has sealed to: an older one is not taken again.

It needs no key and holds no secret; it lies in the vault's file so that it goes where the vault goes.
"""

from datetime import datetime

from device.vault.database import Database
from protocol.instant import read_instant
from protocol.sealed.recipients import RecipientList

TABLES = (
    "CREATE TABLE IF NOT EXISTS recipient_list (service_id TEXT PRIMARY KEY, issued TEXT NOT NULL) STRICT",
)


class Newest:
    def __init__(self, database: Database) -> None:
        self.database = database
        self._issued: dict[str, datetime] = {}  # nobody else writes here
        database.define(TABLES)

    def issued(self, service_id: str) -> datetime | None:
        """When the newest list seen for this service was issued."""
        if service_id not in self._issued:
            row = self.database.row("SELECT issued FROM recipient_list WHERE service_id = ?", (service_id,))
            if row is None:
                return None
            self._issued[service_id] = read_instant(row[0])
        return self._issued[service_id]

    def saw(self, held: RecipientList) -> None:
        """Remember a list, on disk, unless a newer one is known. KitError disk-full, vault-damaged."""
        before = self.issued(held.service_id)
        if before is not None and read_instant(held.issued) <= before:
            return
        with self.database.transaction() as tx:
            tx.execute("INSERT OR REPLACE INTO recipient_list VALUES (?, ?)", (held.service_id, held.issued))
        self._issued.pop(held.service_id, None)
