"""Sealed applications that wait for their receipt, and the kit's packet counter. Nothing here needs a key.

Putting a packet on the shelf makes its visit unreadable: the visit's key goes in the same transaction.
"""

from dataclasses import dataclass

from device.vault.database import Database, Transaction
from protocol.sealed.manifest import FIRST_PREV
from protocol.sealed.outer import read_outer


@dataclass(frozen=True)
class SealedPacket:
    """A packet on the shelf, without its bytes."""

    packet_id: str
    visit_id: str
    manifest_sha256: str
    size: int


class Store:
    """The part of the vault that works while it is locked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def database(self) -> Database:
        return self._database

    def next_seq(self) -> tuple[int, str]:
        """(seq, prev) for the manifest of the next packet; `put_sealed` of that packet moves the counter."""
        row = self._database.row("SELECT seq, prev FROM packet_counter")
        return (1, FIRST_PREV) if row is None else (row[0] + 1, row[1])

    def put_sealed(self, tx: Transaction, packet_id: str, visit_id: str, data: bytes) -> None:
        """Keep a sealed packet and destroy its visit's key and records, both or neither. What the log still
        holds of them cannot be opened any more; it is emptied by the database's next `settle` or commit.

        ValueError unless `data` is the packet so named, next in the kit's chain; BadPacket if it is none."""
        outer = read_outer(data)
        manifest = outer.manifest
        named = (manifest.packet_id, manifest.visit_id, manifest.seq, manifest.prev)
        if named != (packet_id, visit_id, *self.next_seq()):
            raise ValueError("another packet than the next of this visit")
        # First: the packet then lies where the records lay, and the log has to carry those pages once.
        self._destroy(tx, visit_id)
        tx.shred_in_a_moment()
        tx.execute(
            "INSERT INTO packet VALUES (?, ?, ?, ?)", (packet_id, visit_id, outer.manifest_sha256, data)
        )
        tx.execute(
            "INSERT OR REPLACE INTO packet_counter VALUES (1, ?, ?)", (manifest.seq, outer.manifest_sha256)
        )

    def sealed(self) -> list[SealedPacket]:
        """What waits on the shelf, oldest first."""
        rows = self._database.rows(
            "SELECT packet_id, visit_id, manifest_sha256, length(data) FROM packet ORDER BY rowid"
        )
        return [SealedPacket(*row) for row in rows]

    def read_sealed(self, packet_id: str) -> bytes | None:
        """The bytes of a packet, to offer them to the network again; None when it is not here (any more)."""
        row = self._database.row("SELECT data FROM packet WHERE packet_id = ?", (packet_id,))
        return None if row is None else bytes(row[0])

    def drop_sealed(self, tx: Transaction, packet_id: str) -> None:
        """Forget a packet: its receipt is there. Dropping one that is not here changes nothing."""
        tx.execute("DELETE FROM packet WHERE packet_id = ?", (packet_id,))
        tx.shred()

    def destroy_visit(self, tx: Transaction, visit_id: str) -> None:
        """Destroy the visit's key, and with it all its records. What is not here stays not here."""
        self._destroy(tx, visit_id)
        tx.shred()

    def _destroy(self, tx: Transaction, visit_id: str) -> None:
        row = self._database.row("SELECT slot FROM visit_slot WHERE visit_id = ?", (visit_id,))
        if row is not None:
            tx.overwrite(row[0])
        tx.execute("DELETE FROM visit_key WHERE visit_id = ?", (visit_id,))
