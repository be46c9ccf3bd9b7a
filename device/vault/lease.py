"""The store key hangs on the door key and on a share of the fleet, another one in every epoch.

store key = HKDF(door key || share of the epoch). The share comes from the fleet for a time and a number of
visits; meanwhile it lies here under a key of the device, so that a kit works without network. When the lease
has ended it is destroyed, and PIN and device together open nothing until the fleet hands it out again. With
each new epoch every visit's key is wrapped anew, so what an older copy of the disk opens is not what is
written from then on. Before the first lease the epoch is 0 and its share empty.
"""

from dataclasses import dataclass, field
from datetime import datetime

from device.errors import Code, KitError, Remedy
from device.vault import door, keys
from device.vault.database import Database, Transaction
from device.vault.store import OpenVault
from protocol.instant import read_instant, write_instant

SHARE = 32  # bytes
_VERSION = 1


@dataclass(frozen=True)
class Lease:
    """On disk. `ends` by the kit's reckoning, `wall_ends` by the clock: the first of the two counts."""

    epoch: int
    held: bool  # the share of the epoch is here
    coming: bool  # and that of the next one
    ends: datetime
    wall_ends: datetime
    visits: int  # how many may still be begun


@dataclass(frozen=True)
class Shares:
    """Of an epoch, and of the one after it; empty bytes where there is none."""

    epoch: int
    share: bytes = field(repr=False)
    following: bytes = field(repr=False)


def store_key(door_key: bytes, epoch: int, share: bytes) -> bytes:
    """`share` is empty in epoch 0 and there alone."""
    return keys.derive(door_key + share, f"store|{epoch}")


def read(database: Database) -> Lease | None:
    """None where there never was one."""
    row = database.row("SELECT epoch, share, next_share, ends, wall_ends, visits FROM lease")
    if row is None:
        return None
    epoch, share, following, ends, wall_ends, visits = row
    held = share is not None or epoch == 0
    return Lease(epoch, held, following is not None, read_instant(ends), read_instant(wall_ends), visits)


def check(database: Database) -> None:
    """KitError lease-ended when the share of the epoch is not here: no PIN could open the store."""
    held = read(database)
    if held is not None and not held.held:
        raise KitError(Code.LEASE_ENDED, Remedy.OFFICER)


def open_store(database: Database, secret: bytes, door_key: bytes) -> bytes:
    """The store key of the present epoch. KitError lease-ended without its share."""
    check(database)
    return store_key(door_key, *_present(database, secret))


def begin(tx: Transaction, ends: datetime, wall_ends: datetime, visits: int) -> None:
    """The first lease, of epoch 0: what a new kit may do before the fleet has spoken."""
    row = (write_instant(ends), write_instant(wall_ends), visits)
    tx.execute("INSERT INTO lease VALUES (1, 0, NULL, NULL, ?, ?, ?) ON CONFLICT DO NOTHING", row)


def keep(
    tx: Transaction, secret: bytes, shares: Shares, ends: datetime, wall_ends: datetime, visits: int
) -> None:
    """A new lease; a share that did not come stays as it is. ValueError for another epoch than the kit's."""
    epoch = tx.execute("SELECT epoch FROM lease").fetchone()
    if epoch is None or epoch[0] != shares.epoch or {len(shares.share), len(shares.following)} - {0, SHARE}:
        raise ValueError("a lease for another epoch")
    tx.execute(
        "UPDATE lease SET share = COALESCE(?, share), next_share = ?, ends = ?, wall_ends = ?, visits = ?",
        (
            _lock_up(secret, shares.epoch, shares.share) if shares.share else None,
            _lock_up(secret, shares.epoch + 1, shares.following) if shares.following else None,
            write_instant(ends),
            write_instant(wall_ends),
            visits,
        ),
    )
    tx.shred()


def spend(tx: Transaction) -> None:
    """One visit of the lease has begun."""
    tx.execute("UPDATE lease SET visits = MAX(visits - 1, 0)")


def close(tx: Transaction) -> None:
    """Destroy what is here of the fleet's shares. Nothing else is touched."""
    tx.execute("UPDATE lease SET share = NULL, next_share = NULL")
    tx.shred()


def turn_epoch(vault: OpenVault, secret: bytes) -> bool:
    """Go to the next epoch if its share is here: all of it in one transaction. Whether it was."""
    database = vault.database
    row = database.row("SELECT epoch, next_share FROM lease WHERE next_share IS NOT NULL")
    if row is None:
        return False
    epoch, sealed = row[0] + 1, row[1]
    share = keys.unlock(_guard(secret), sealed, _of(epoch))
    fresh = store_key(vault.door_key(), epoch, share)
    with database.transaction() as tx:
        vault.rewrap(tx, fresh)
        tx.execute("UPDATE lease SET epoch = ?, share = next_share, next_share = NULL", (epoch,))
    vault.turn(fresh, vault.door_key())
    return True


def change_door(tx: Transaction, vault: OpenVault, secret: bytes) -> tuple[bytes, bytes]:
    """A new door key for everybody who is still let in: (store key, door key) to `turn` to after the commit.

    KitError lease-ended when the share is not here; then it must wait for the fleet."""
    check(vault.database)
    key = keys.new_key()
    fresh = store_key(key, *_present(vault.database, secret))
    vault.rewrap(tx, fresh)
    door.change(tx, vault.database, secret, key)
    return fresh, key


def _present(database: Database, secret: bytes) -> tuple[int, bytes]:
    row = database.row("SELECT epoch, share FROM lease")
    if row is None or row[0] == 0:
        return 0, b""
    return row[0], keys.unlock(_guard(secret), row[1], _of(row[0]))


def _lock_up(secret: bytes, epoch: int, share: bytes) -> bytes:
    return keys.lock_up(_guard(secret), share, _of(epoch))


def _guard(secret: bytes) -> bytes:
    return keys.derive(secret, "lease")


def _of(epoch: int) -> bytes:
    return keys.bind("lease.share", str(epoch), _VERSION)
