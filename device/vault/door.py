"""The door key: one secret that every officer of the kit can open, each with an identity of their own.

An officer's identity is an age key pair (post-quantum, as the packets'). Its secret half lies under PIN and
device; the door key lies sealed to its public half. So whoever is in can give everybody else a new door key
without knowing a PIN: that is how an officer who was removed is shut out for good.

Public halves and sealed door keys are kept under a key of the device, or somebody who may write to the disk
could put a door key of his own in their place and read what is written after that.
"""

from collections.abc import Iterable

from device.errors import Code, KitError, Remedy
from device.vault import keys
from device.vault.database import Database, Transaction
from protocol.sealed import age

_VERSION = 1

TABLES = ("CREATE TABLE IF NOT EXISTS door_owed (only INTEGER PRIMARY KEY CHECK (only = 1)) STRICT",)


def new_identity() -> tuple[str, str]:
    """(identity, recipient) of a new officer."""
    return age.generate()


def signing_wrap(identity: str) -> bytes:
    """The key that an officer's signing key lies under."""
    return keys.derive(identity.encode(), "signing-key")


def seal_recipient(secret: bytes, officer_id: str, recipient: str) -> bytes:
    """For the column `recipient`. `secret` is the device's."""
    return keys.lock_up(_guard(secret), recipient.encode(), _of(officer_id, "recipient"))


def seal_door(secret: bytes, officer_id: str, recipient: str, door_key: bytes) -> bytes:
    """For the column `door`."""
    return keys.lock_up(_guard(secret), age.encrypt(door_key, [recipient]), _of(officer_id, "door"))


def open_door(secret: bytes, officer_id: str, identity: str, sealed: bytes) -> bytes:
    """The door key. KitError vault-damaged when it was not sealed here to this officer."""
    try:
        key = age.decrypt(keys.unlock(_guard(secret), sealed, _of(officer_id, "door")), [identity])
    except (age.BadAge, age.BadKey) as problem:
        raise KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, "a door key of somebody else") from problem
    return key


def change(tx: Transaction, database: Database, secret: bytes, door_key: bytes) -> None:
    """Give every officer this door key in place of the one they had. The caller changes the store key too."""
    for officer_id, recipient in _recipients(database, secret):
        sealed = seal_door(secret, officer_id, recipient, door_key)
        tx.execute("UPDATE officer SET door = ? WHERE officer_id = ?", (sealed, officer_id))
    tx.shred()


def owe(tx: Transaction) -> None:
    """Somebody was shut out while nobody was in: a new door key must come first of all."""
    tx.execute("INSERT OR IGNORE INTO door_owed VALUES (1)")


def paid(tx: Transaction) -> None:
    tx.execute("DELETE FROM door_owed")


def owed(database: Database) -> bool:
    return database.row("SELECT 1 FROM door_owed") is not None


def _recipients(database: Database, secret: bytes) -> Iterable[tuple[str, str]]:
    for officer_id, sealed in database.rows("SELECT officer_id, recipient FROM officer"):
        yield officer_id, keys.unlock(_guard(secret), sealed, _of(officer_id, "recipient")).decode()


def _guard(secret: bytes) -> bytes:
    return keys.derive(secret, "door")


def _of(officer_id: str, column: str) -> bytes:
    return keys.bind(f"officer.{column}", officer_id, _VERSION)
