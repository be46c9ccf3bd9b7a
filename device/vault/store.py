"""The open vault: captures of visits in progress, each encrypted under the random key of its visit."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from device.errors import Code, KitError, Remedy
from device.vault import keys
from device.vault.ahead import Ahead, Sealed
from device.vault.database import Database, Transaction
from device.vault.shelf import SealedPacket, Store
from protocol.sealed.packet import Signer

__all__ = ["OpenVault", "Record", "SealedPacket", "Store"]

LARGEST = 16 * 1024 * 1024  # bytes of one record
_KEY_VERSION = 1
_RECORDS = "SELECT record_id, kind, version, sealed FROM record WHERE visit_id = ?"
_KEYS = "SELECT visit_id, wrapped FROM visit_key WHERE wrapped != x''"


@dataclass(frozen=True)
class Record:
    """A kept capture. `kind` is what it is in the visit's words, e.g. `photo`; it stays readable on disk."""

    kind: str
    data: bytes = field(repr=False)


class OpenVault(Store):
    """The vault while an officer is unlocked. `signing_key` and `chain` are that officer's.

    `lock` forgets the keys; every call that needs them is then refused with KitError locked. Python may
    keep copies in memory until they are overwritten: best effort, hence no swap and no core dumps."""

    def __init__(
        self,
        database: Database,
        store_key: bytes,
        officer_id: str = "",
        name: str = "",
        signing_key: ec.EllipticCurvePrivateKey | None = None,
        chain: Sequence[x509.Certificate] = (),
        door_key: bytes = b"",
        identity: str = "",
    ) -> None:
        super().__init__(database)
        self.officer_id = officer_id
        self.name = name
        self._store_key: bytes | None = store_key
        self._signer = None if signing_key is None else Signer(signing_key, tuple(chain))
        self._door_key = door_key
        self._identity = identity
        self._at_hand: tuple[str, bytes, bytes] | None = None  # a visit, its key as wrapped, its key

    @property
    def locked(self) -> bool:
        return self._store_key is None

    def lock(self) -> None:
        self._store_key = None
        self._signer = None
        self._door_key, self._identity = b"", ""
        self._at_hand = None

    def door_key(self) -> bytes:
        """For the gate, which seals it to another officer, and for the lease."""
        self.store_key()
        return self._door_key

    def identity(self) -> str:
        """The officer's own, for another PIN or another way in."""
        self.store_key()
        return self._identity

    def store_key(self) -> bytes:
        """What everything on disk hangs on; KitError locked."""
        if self._store_key is None:
            raise KitError(Code.LOCKED, Remedy.OFFICER)
        return self._store_key

    def signer(self) -> Signer:
        """The officer's own, for the second signature on a manifest; KitError locked."""
        if self._signer is None:
            raise KitError(Code.LOCKED, Remedy.OFFICER)
        return self._signer

    def rewrap(self, tx: Transaction, store_key: bytes) -> None:
        """Put the key of every visit under another store key. `turn` to it once this is on disk."""
        before, after = self._records_key(), keys.derive(store_key, "records")
        for visit_id, wrapped in self.database.rows(_KEYS):
            key = keys.unlock(before, wrapped, _of_visit(visit_id))
            again = keys.lock_up(after, key, _of_visit(visit_id))
            tx.execute("UPDATE visit_key SET wrapped = ? WHERE visit_id = ?", (again, visit_id))
        tx.shred()

    def turn(self, store_key: bytes, door_key: bytes) -> None:
        """Go on with the keys that are on disk now."""
        self._store_key, self._door_key = store_key, door_key

    def new_visit_key(self, tx: Transaction, visit_id: str, *, slot: bool = True) -> None:
        """Give a visit its key. A visit that has one keeps it. Half of the key lies in a slot that is
        overwritten with the visit; without `slot` all of it is in the database, for what is never destroyed.

        KitError locked, disk-full."""
        wrapped = keys.lock_up(self._records_key(), keys.new_key(), _of_visit(visit_id))
        if tx.execute("DELETE FROM visit_key WHERE visit_id = ? AND wrapped = x''", (visit_id,)).rowcount:
            tx.shred()
        added = tx.execute(
            "INSERT INTO visit_key VALUES (?, ?) ON CONFLICT DO NOTHING", (visit_id, wrapped)
        ).rowcount
        if slot and added:
            try:
                number, _ = self.database.slots.take(self.database.used_slots())
            except OSError as problem:
                raise KitError(Code.DISK_FULL, Remedy.WORKSHOP, f"slots: {problem.strerror}") from problem
            tx.execute("INSERT INTO visit_slot VALUES (?, ?)", (visit_id, number))

    def put(
        self, tx: Transaction, visit_id: str, record_id: str, kind: str, data: bytes, digest: str = ""
    ) -> None:
        """Keep a capture, in place of one of the same id. With a `digest`, only who names it gets the capture
        back: who knows that it is of these bytes need not work it out again. KitError locked; vault-damaged
        without a key."""
        if len(data) > LARGEST:
            raise ValueError(f"a record of more than {LARGEST} bytes")
        key = self._visit_key(visit_id)
        held = self.database.row(
            "SELECT version FROM record WHERE visit_id = ? AND record_id = ?", (visit_id, record_id)
        )
        version = 1 if held is None else held[0] + 1
        sealed = keys.lock_up(key, data, _of_record(visit_id, record_id, kind, version, digest))
        tx.execute(
            "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?)",
            (visit_id, record_id, kind, version, sealed),
        )
        if held is not None:
            tx.shred()

    def opens(self, visit_id: str) -> bool:
        """Whether the key of this visit is here and sound."""
        try:
            self._visit_key(visit_id)
        except KitError as problem:
            if problem.code is not Code.VAULT_DAMAGED:
                raise
            return False
        return True

    def get(self, visit_id: str, record_id: str, digest: str = "") -> Record:
        """A kept capture. KitError locked; vault-damaged when it is not here, or not what was put here under
        this digest."""
        key = self._visit_key(visit_id)
        row = self.database.row(f"{_RECORDS} AND record_id = ?", (visit_id, record_id))
        if row is None:
            raise _missing(record_id)
        return self._open(key, visit_id, digest, *row)

    def read_ahead(self, visit_id: str, digests: Mapping[str, str]) -> Ahead:
        """Kept captures of one visit as they lie here, to be opened later. KitError vault-damaged when one of
        them is not here."""
        with closing(self.database.each(_RECORDS, (visit_id,))) as rows:
            held = [
                (record, kind, version, digest, sealed, _of_record(visit_id, record, kind, version, digest))
                for record, kind, version, sealed in rows
                if (digest := digests.get(record)) is not None
            ]
        for record_id in digests.keys() - {each[0] for each in held}:
            raise _missing(record_id)
        return Ahead(visit_id, held, keys.OVERHEAD)

    def open_ahead(self, ahead: Ahead) -> dict[str, memoryview]:
        """What `read_ahead` has read, by id, in its memory: to be wiped by who asks. KitError as `get`."""
        key = self._visit_key(ahead.visit_id)
        cipher = keys.cipher_of(key)
        return {each.record_id: self._open_into(key, cipher, ahead, each) for each in ahead.records}

    def _open_into(self, key: bytes, cipher: keys.Cipher, ahead: Ahead, each: Sealed) -> memoryview:
        space = ahead.space[each.place]
        try:
            keys.unlock_into(cipher, each.sealed, each.bound, space)
        except KitError:
            about = (each.digest, each.record_id, each.kind, each.version)
            space[:] = self._open(key, ahead.visit_id, *about, each.sealed).data
        return space

    def _open(
        self, key: bytes, visit_id: str, digest: str, record_id: str, kind: str, version: int, sealed: bytes
    ) -> Record:
        bound, unbound = (_of_record(visit_id, record_id, kind, version, each) for each in (digest, ""))
        try:
            return Record(kind, keys.unlock(key, sealed, bound))
        except KitError:
            data = keys.unlock(key, sealed, unbound)  # kept before records were bound to their digest
            if hashlib.sha256(data).hexdigest() != digest:
                raise
            return Record(kind, data)

    def drop(self, tx: Transaction, visit_id: str, record_id: str) -> None:
        """Forget one capture, e.g. because the step is done again."""
        tx.execute("DELETE FROM record WHERE visit_id = ? AND record_id = ?", (visit_id, record_id))
        tx.shred()

    def _records_key(self) -> bytes:
        return keys.derive(self.store_key(), "records")

    def _overwrite(self, tx: Transaction, visit_id: str) -> None:
        self._at_hand = None
        super()._overwrite(tx, visit_id)

    def _visit_key(self, visit_id: str) -> bytes:
        """Worked out once for the visit on the counter; the row must still say the same."""
        store_key = self.store_key()
        row = self.database.row(
            "SELECT wrapped, slot FROM visit_key LEFT JOIN visit_slot USING (visit_id)"
            " WHERE visit_id = ? AND wrapped != x''",
            (visit_id,),
        )
        if row is None:
            raise KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, f"no key for visit {visit_id}")
        wrapped, slot = row
        if self._at_hand is None or self._at_hand[:2] != (visit_id, wrapped):
            half = keys.unlock(keys.derive(store_key, "records"), wrapped, _of_visit(visit_id))
            self._at_hand = visit_id, wrapped, half if slot is None else self._whole(visit_id, half, slot)
        return self._at_hand[2]

    def _whole(self, visit_id: str, half: bytes, slot: int) -> bytes:
        try:
            other = self.database.slots.read(slot)
        except OSError:  # a block that went bad: of one visit, and no reason to end with all others
            other = None
        if other is None:
            raise KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, f"no secret for visit {visit_id}")
        return keys.derive(half + other, "visit")


def _missing(record_id: str) -> KitError:
    return KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, f"no record {record_id}")


def _of_visit(visit_id: str) -> bytes:
    return keys.bind("visit_key", visit_id, _KEY_VERSION)


def _of_record(visit_id: str, record_id: str, kind: str, version: int, digest: str) -> bytes:
    name = f"{visit_id}/{record_id}/{kind}"
    return keys.bind("record", f"{name}/{digest}" if digest else name, version)
