"""Sealed applications that wait for their receipt, and the kit's packet counter. Nothing here needs a key.

Putting a packet on the shelf makes its visit unreadable: the visit's key goes in the same transaction.
"""

from dataclasses import dataclass

from device.vault.database import Database, Transaction
from device.vault.parcels import Unfinished
from protocol.sealed.manifest import FIRST_PREV
from protocol.sealed.packet import Written

_BESIDE = 64 * 1024
"""Bytes of a packet that no record is: manifest, signatures, wrapped keys, archives, `application.json`."""


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

    def make_room(self, visit_id: str) -> None:
        """In a quiet moment: room on the shelf for what would be sealed of this visit by now. KitError
        disk-full, vault-damaged."""
        (held,) = self._database.rows(
            "SELECT sum(length(sealed)) FROM record WHERE visit_id = ?", (visit_id,)
        )
        self._database.parcels.make_room((held[0] or 0) + _BESIDE)

    def next_id(self) -> str:
        """The id of the packet to be made next. Asked before anything was made of it, and used or not."""
        return self._database.parcels.next_id()

    def create(self, packet_id: str) -> Unfinished:
        """A file on the shelf that a packet can be written into. KitError disk-full, vault-damaged."""
        return self._database.parcels.create(packet_id)

    def put_sealed(self, tx: Transaction, packet_id: str, visit_id: str, written: Written) -> None:
        """Keep a packet, and destroy its visit's key, both or neither, and only once it is complete: signed,
        checked, on disk. The records cannot be opened from then on; they and what the log holds of them go at
        the database's next `settle`.

        ValueError unless it is the packet so named, next in the kit's chain."""
        *about, seq, prev = written.packet
        if about != [packet_id, visit_id] or not _count(tx, seq, prev, written.manifest_sha256):
            raise ValueError("another packet than the next of this visit")
        tx.first(written.complete)
        self._overwrite(tx, visit_id)
        tx.end(visit_id)
        row = (packet_id, visit_id, written.manifest_sha256, written.size)
        tx.execute("INSERT INTO packet VALUES (?, ?, ?, ?)", row)

    def sealed(self) -> list[SealedPacket]:
        """What waits on the shelf, oldest first."""
        rows = self._database.rows(
            "SELECT packet_id, visit_id, manifest_sha256, size FROM packet ORDER BY rowid"
        )
        return [SealedPacket(*row) for row in rows]

    def read_sealed(self, packet_id: str) -> bytes | None:
        """The bytes of a packet, to offer them to the network again; None when it is not here (any more).
        KitError vault-damaged."""
        row = self._database.row("SELECT size FROM packet WHERE packet_id = ?", (packet_id,))
        return None if row is None else self._database.parcels.read(packet_id, row[0])

    def drop_sealed(self, tx: Transaction, packet_id: str) -> None:
        """Forget a packet: its receipt is there. Dropping one that is not here changes nothing."""
        if tx.execute("DELETE FROM packet WHERE packet_id = ?", (packet_id,)).rowcount:
            tx.remove(packet_id)

    def destroy_visit(self, tx: Transaction, visit_id: str) -> None:
        """Destroy the visit's key, and with it all its records. What is not here stays not here."""
        self._overwrite(tx, visit_id)
        tx.execute("DELETE FROM visit_key WHERE visit_id = ?", (visit_id,))
        tx.shred()

    def _overwrite(self, tx: Transaction, visit_id: str) -> None:
        row = self._database.row("SELECT slot FROM visit_slot WHERE visit_id = ?", (visit_id,))
        if row is not None:
            tx.overwrite(row[0])


def _count(tx: Transaction, seq: int, prev: str, manifest_sha256: str) -> bool:
    """Move the kit's counter to this packet. False when it is not the next."""
    move = "UPDATE packet_counter SET seq = ?, prev = ? WHERE seq = ? AND prev = ?"
    if tx.execute(move, (seq, manifest_sha256, seq - 1, prev)).rowcount:
        return True
    begin = "INSERT INTO packet_counter VALUES (1, ?, ?) ON CONFLICT DO NOTHING"
    first = (seq, prev) == (1, FIRST_PREV)
    return first and tx.execute(begin, (seq, manifest_sha256)).rowcount == 1
