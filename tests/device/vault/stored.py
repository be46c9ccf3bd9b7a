"""A vault as a kit left it on its disk, kept as text: what any later version must still open.

`python -m tests.device.vault.stored` makes one anew, and only a change of the vault's version asks for that:
a vault that cannot be opened any more is a visit that is lost.
"""

import sqlite3
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from device.vault import lease
from device.vault.database import Database
from device.vault.gate import Gate
from device.vault.keysource import FileKeySource
from device.vault.recovery import Administrator
from tests.device.vault.kit import OFFICER, PIN, WORLD, HandClock, pem_of

FOLDER = Path(__file__).parents[2] / "vectors" / "vault"
KIT_ID, VISIT, PHOTO = "kit-test-01", "01ARZ3NDEKTSV4RRFFQ69G5FAV", b"a photo"


class Beside(msgspec.Struct, frozen=True):
    """What a kit has beside its database; bytes in base64."""

    device_secret: bytes
    slots: list[bytes]  # the secret in each block
    administrator: bytes  # private, X25519


def lay(folder: Path) -> tuple[Database, FileKeySource, X25519PrivateKey]:
    """The stored vault as files in `folder`, opened; its key source; and the administrator's key."""
    beside = msgspec.json.decode((FOLDER / "beside.json").read_bytes(), type=Beside)
    made = sqlite3.connect(folder / "vault.db")
    made.executescript((FOLDER / "vault.sql").read_text())
    made.close()
    (folder / "vault.db-slots").write_bytes(b"".join(each.ljust(4096, b"\0") for each in beside.slots))
    secret = folder / "device-secret"
    secret.touch(0o600)
    secret.write_bytes(beside.device_secret)
    key = X25519PrivateKey.from_private_bytes(beside.administrator)
    return Database(folder / "vault.db"), FileKeySource(secret), key


def make(folder: Path) -> None:
    """Of an officer with a way back, in the lease's second epoch, with one visit begun."""
    database, source = Database(folder / "vault.db"), FileKeySource.create(folder / "device-secret")
    key = X25519PrivateKey.generate()
    administrator = Administrator(KIT_ID, key.public_key().public_bytes_raw())
    gate = Gate(database, source, HandClock(), administrator)
    gate.add_officer(gate.create(), OFFICER, "An Peeters", PIN, *pem_of(WORLD.officer_signer))
    vault, ends = gate.unlock(OFFICER, PIN), datetime(2026, 11, 25, 9, tzinfo=UTC)
    with database.transaction() as tx:
        lease.begin(tx, ends, ends + timedelta(hours=1), 12)
    with database.transaction() as tx:
        shares = lease.Shares(0, b"", bytes(range(32)))
        lease.keep(tx, source.device_secret(), shares, ends, ends + timedelta(hours=1), 7)
    lease.turn_epoch(vault, source.device_secret())
    with database.transaction() as tx:
        vault.new_visit_key(tx, VISIT)
        vault.put(tx, VISIT, "photo", "photo", PHOTO)
    slots = (folder / "vault.db-slots").read_bytes()
    beside = Beside(
        source.device_secret(),
        [slots[at : at + 32] for at in range(0, len(slots), 4096)],
        key.private_bytes_raw(),
    )
    database.settle()
    (version,) = database.row("PRAGMA user_version") or (0,)
    database.close()
    FOLDER.mkdir(parents=True, exist_ok=True)
    dump = sqlite3.connect(folder / "vault.db")
    lines = [*dump.iterdump(), f"PRAGMA user_version={version};"]
    dump.close()
    (FOLDER / "vault.sql").write_text("\n".join(lines) + "\n")
    (FOLDER / "beside.json").write_bytes(msgspec.json.format(msgspec.json.encode(beside)) + b"\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        make(Path(place))
