"""The way in for an officer who forgot the PIN: identity under a one-use code and the device's secret.

What lies on disk opens only with the code of `protocol.unlock_code`, which only the administrator can make,
and the device's own secret, which never leaves the kit: neither is enough. A way is used up by using it.
"""

from dataclasses import dataclass
from datetime import datetime

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from device.errors import Code, KitError, Remedy
from device.vault import keys
from device.vault.database import Database, Transaction
from protocol import unlock_code
from protocol.unlock_code import BadCode, Challenge

_VERSION = 1


@dataclass(frozen=True)
class Administrator:
    """Who may make codes for this kit: an X25519 public key, 32 bytes."""

    kit_id: str
    public: bytes


class _Kept(msgspec.Struct, frozen=True):
    identity: str
    mac: bytes


def offer(
    tx: Transaction, administrator: Administrator, officer_id: str, identity: str, secret: bytes
) -> None:
    """Make a (new) way in; the one there was is gone. `secret` is the device's."""
    ephemeral = X25519PrivateKey.generate()
    point = ephemeral.public_key().public_bytes_raw()
    challenge = Challenge(administrator.kit_id, officer_id, point)
    halves = unlock_code.agree(ephemeral, administrator.public, challenge)
    kept = msgspec.msgpack.encode(_Kept(identity, halves.mac))
    sealed = keys.lock_up(_key(halves.key, secret), kept, _of(challenge))
    tx.execute(
        "INSERT OR REPLACE INTO recovery VALUES (?, ?, ?, ?)",
        (officer_id, point, administrator.public, sealed),
    )
    tx.shred()


def is_offered(database: Database, administrator: Administrator, officer_id: str) -> bool:
    """Whether this officer has a way in that this administrator can open."""
    row = database.row("SELECT administrator FROM recovery WHERE officer_id = ?", (officer_id,))
    return row is not None and row[0] == administrator.public


def challenge_of(database: Database, kit_id: str, officer_id: str) -> Challenge:
    """What the administrator must be told. KitError no-way-back when there is none."""
    return _challenge(_row(database, officer_id), kit_id, officer_id)


def open_with(
    database: Database, kit_id: str, officer_id: str, code: str, secret: bytes, now: datetime
) -> str:
    """The officer's identity. KitError wrong-code, code-expired, no-way-back; nothing is used up yet.

    `now`: the later of the clock and the kit's own reckoning, so that setting the clock back helps nobody."""
    row = _row(database, officer_id)
    challenge = _challenge(row, kit_id, officer_id)
    try:
        given = unlock_code.read_code(code)
        kept = msgspec.msgpack.decode(
            keys.unlock(_key(given.key, secret), row[1], _of(challenge)), type=_Kept
        )
    except (BadCode, KitError) as problem:
        raise KitError(Code.WRONG_CODE, Remedy.RETRY) from problem
    if not unlock_code.genuine(given, kept.mac, challenge):
        raise KitError(Code.WRONG_CODE, Remedy.RETRY)
    if now >= given.not_after:
        raise KitError(Code.CODE_EXPIRED, Remedy.WORKSHOP)
    return kept.identity


def _row(database: Database, officer_id: str) -> tuple[bytes, bytes]:
    row = database.row("SELECT point, sealed FROM recovery WHERE officer_id = ?", (officer_id,))
    if row is None:
        raise KitError(Code.NO_WAY_BACK, Remedy.WORKSHOP)
    return bytes(row[0]), bytes(row[1])


def _challenge(row: tuple[bytes, bytes], kit_id: str, officer_id: str) -> Challenge:
    try:
        return Challenge(kit_id, officer_id, row[0])
    except BadCode as problem:
        raise KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, "recovery") from problem


def _key(code_key: bytes, secret: bytes) -> bytes:
    return keys.derive(code_key + secret, "recovery")


def _of(challenge: Challenge) -> bytes:
    return keys.bind("recovery.sealed", f"{challenge.officer_id}/{challenge.point.hex()}", _VERSION)
