"""The PIN gate: who may open the vault. PIN and device secret together open it; tries are counted first."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from cryptography import x509

from device.errors import Code, KitError, Remedy
from device.ports import Clock, KeySource
from device.vault import door, keys, lease, newcomer, recovery
from device.vault.cards import NO_CARD, Cards
from device.vault.database import Database, Transaction
from device.vault.store import OpenVault
from device.vault.tickets import Tickets
from device.vault.tries import Standing, Tries
from protocol import unlock_code

PIN = re.compile(r"[0-9]{6,12}")
_VERSION = 1


Note = Callable[[Transaction], None]
"""Writes down what happened, in the transaction in which it does."""


def no_note(tx: Transaction) -> None:
    """Nobody wants to know."""


class WeakPin(ValueError):
    """Not a PIN anyone should choose: not 6 to 12 digits, one digit only, or digits in a row."""


@dataclass(frozen=True)
class KnownOfficer:
    officer_id: str
    name: str


@dataclass(frozen=True)
class _Row:
    """An officer on disk."""

    name: str
    salt: bytes
    identity: bytes = field(repr=False)
    signing_key: bytes = field(repr=False)
    chain: str
    door: bytes = field(repr=False)


@dataclass(frozen=True)
class _UnderPin:
    """An officer's identity, locked up, with what is needed to open it again."""

    salt: bytes
    identity: bytes = field(repr=False)
    ticket: bytes = field(repr=False)


class Gate:
    """One gate per vault. All calls from the database's own thread; `unlock` takes about 0.4 s."""

    def __init__(
        self,
        database: Database,
        source: KeySource,
        clock: Clock,
        administrator: recovery.Administrator | None = None,
    ) -> None:
        """`administrator`: who may make unlock codes for officers of this kit."""
        self._database = database
        self._source = source
        self._tries = Tries(database, clock)
        self._tickets = Tickets(database)
        self._administrator = administrator
        self._cards = Cards(database)
        database.define(door.TABLES)

    def sweep(self) -> None:
        """Let the key source forget what no officer of this vault needs: a cut of the power came between it
        and the database. Under the lock of a transaction: another program may be enclosing a PIN just now.

        KitError key-source-gone, other-device, vault-damaged."""
        with self._database.transaction():
            self._source.keep_only(self._tickets.all())

    def officers(self) -> list[KnownOfficer]:
        """Who can unlock, by name."""
        rows = self._database.rows("SELECT officer_id, name FROM officer ORDER BY name, officer_id")
        return [KnownOfficer(*row) for row in rows]

    def standing(self, officer_id: str | None = None) -> Standing:
        """Tries left and wait of an officer, or of whoever tried last."""
        return self._tries.standing(officer_id if officer_id is not None else self._tries.last_tried() or "")

    def create(self) -> OpenVault:
        """A new vault, opened, to add its first officers. RuntimeError when there are officers already."""
        if self.officers():
            raise RuntimeError("the vault has officers; only one of them can add another")
        with self._database.transaction() as tx:
            tx.execute("INSERT OR REPLACE INTO device VALUES (1, ?)", (_mark(self._source.device_secret()),))
        key = keys.new_key()
        return OpenVault(self._database, lease.store_key(key, 0, b""), door_key=key)

    def add_officer(
        self,
        vault: OpenVault,
        officer_id: str,
        name: str,
        pin: str,
        key_pem: bytes,
        cert_pem: bytes,
        note: Note = no_note,
    ) -> None:
        """Let an officer in, with signing key (PKCS#8 PEM, unencrypted) and certificates (PEM, leaf first).

        WeakPin; ValueError when key, certificate and id are not of one officer, or the officer is known."""
        check_pin(pin)
        key, chain = newcomer.read(officer_id, name, key_pem, cert_pem)
        if any(known.officer_id == officer_id for known in self.officers()):
            raise ValueError("the officer is known here")
        identity, recipient = door.new_identity()
        secret = self._secret()
        with self._database.transaction() as tx:
            put = self._enclose(officer_id, pin, identity)
            signer, place = newcomer.write_key(key), _of(officer_id, "signing_key")
            row = (
                put.salt,
                put.identity,
                keys.lock_up(door.signing_wrap(identity), signer, place),
                chain,
                door.seal_recipient(secret, officer_id, recipient),
                door.seal_door(secret, officer_id, recipient, vault.door_key()),
            )
            tx.execute("INSERT INTO officer VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (officer_id, name, *row))
            self._tickets.write(tx, officer_id, put.ticket)
            self._offer(tx, officer_id, identity, secret)
            note(tx)

    def unlock(self, officer_id: str, pin: str, card: bytes = NO_CARD) -> OpenVault:
        """Opened; `card` is the fingerprint of the eID that was proven, when the officer needs one.

        KitError unknown-officer, card-needed, too-many-tries (see `standing`), wrong-pin, pin-blocked (by the
        key source: waiting does not help), key-source-gone, other-device, lease-ended, vault-damaged.

        What cannot be a PIN is refused as wrong without counting: it is no guess."""
        row, enrolled = self._row(officer_id), self._cards.of(officer_id)
        if not hmac.compare_digest(enrolled, card if enrolled else NO_CARD):
            raise KitError(Code.CARD_NEEDED, Remedy.OFFICER)
        if self._tries.standing(officer_id).wait_s:
            raise KitError(Code.TOO_MANY_TRIES, Remedy.OFFICER)
        if not PIN.fullmatch(pin):
            raise KitError(Code.WRONG_PIN, Remedy.RETRY)
        secret = self._secret()
        lease.check(self._database)
        self._tries.count(officer_id)
        stretched = keys.stretch(pin, row.salt)
        released = self._release(officer_id, keys.proof(stretched, officer_id))
        key = keys.officer_key(stretched, released, officer_id)
        try:
            identity = keys.unlock(key, row.identity, _of(officer_id, "identity", enrolled)).decode()
        except KitError as problem:
            raise KitError(Code.WRONG_PIN, Remedy.RETRY) from problem
        self._tries.clear(officer_id)
        if self._administrator and not recovery.is_offered(self._database, self._administrator, officer_id):
            with self._database.transaction() as tx:
                self._offer(tx, officer_id, identity, secret)
        vault = self._opened(officer_id, row, identity, secret)
        self.renew_door(vault)
        return vault

    def change_pin(self, officer_id: str, old: str, new: str, note: Note = no_note) -> None:
        """Another PIN for the same officer. As `unlock`, and WeakPin (before a try is counted).

        The officer's card is not asked: the officer is signed in."""
        check_pin(new)
        vault = self.unlock(officer_id, old, self._cards.of(officer_id))
        try:
            self._set_pin(officer_id, new, vault.identity(), note)
        finally:
            vault.lock()

    def card(self, officer_id: str) -> bytes:
        """Fingerprint of the eID this officer needs; NO_CARD for none."""
        return self._cards.of(officer_id)

    def need_card(self, officer_id: str, pin: str, card: bytes) -> None:
        """From now on this officer needs the eID with this fingerprint as well; none with NO_CARD.

        KitError as `unlock`. Who calls this vouches for the officer: the card in use so far is not asked."""
        vault = self.unlock(officer_id, pin, self._cards.of(officer_id))
        try:
            self._set_pin(officer_id, pin, vault.identity(), no_note, card)
        finally:
            vault.lock()

    def remove_officer(self, vault: OpenVault, officer_id: str, note: Note = no_note) -> None:
        """Shut an officer out for good: every way in goes, and everybody else gets a new door key.

        So an old copy of that officer's ways opens nothing that is written from now on. KitError
        unknown-officer, lease-ended; ValueError for the officer who does it."""
        if officer_id == vault.officer_id:
            raise ValueError("an officer removes another one")
        self._row(officer_id)
        ticket, secret = self._tickets.of(officer_id), self._secret()
        with self._database.transaction() as tx:
            self._drop(tx, officer_id)
            fresh = lease.change_door(tx, vault, secret)
            note(tx)
        self._source.forget(ticket)
        vault.turn(*fresh)

    def shut_out(self, officer_ids: Iterable[str], note: Note = no_note) -> None:
        """As `remove_officer`, while nobody need be in: every way in goes now, also from the key source once
        it is swept; the new door key comes when somebody is in (`renew_door`, which `unlock` does)."""
        with self._database.transaction() as tx:
            for officer_id in officer_ids:
                self._drop(tx, officer_id)
            door.owe(tx)
            tx.shred()
            note(tx)

    def renew_door(self, vault: OpenVault) -> None:
        """The new door key that is due, if one is. KitError lease-ended: it stays due."""
        if door.owed(self._database):
            with self._database.transaction() as tx:
                fresh = lease.change_door(tx, vault, self._secret())
                door.paid(tx)
            vault.turn(*fresh)

    def _drop(self, tx: Transaction, officer_id: str) -> None:
        tx.execute("DELETE FROM officer WHERE officer_id = ?", (officer_id,))
        self._tickets.drop(tx, officer_id)
        self._cards.write(tx, officer_id, NO_CARD)

    def challenge(self, officer_id: str) -> str:
        """What an officer who forgot the PIN reads out to the administrator.

        KitError unknown-officer, no-way-back."""
        self._row(officer_id)
        kit_id = self._administrator.kit_id if self._administrator else ""
        return unlock_code.write_challenge(recovery.challenge_of(self._database, kit_id, officer_id))

    def recover(self, officer_id: str, code: str, pin: str, now: datetime, note: Note = no_note) -> None:
        """Take the administrator's code once, and a new PIN with it: both or neither.

        WeakPin (before a try is counted); KitError as `recovery.open_with`, and unknown-officer,
        too-many-tries."""
        self._row(officer_id)
        check_pin(pin)
        counted = f"code:{officer_id}"  # wrong codes must not lock out who knows the PIN, nor the other way
        if self._tries.standing(counted).wait_s:
            raise KitError(Code.TOO_MANY_TRIES, Remedy.OFFICER)
        if self._administrator is None:
            raise KitError(Code.NO_WAY_BACK, Remedy.WORKSHOP)
        secret = self._secret()
        self._tries.count(counted)
        identity = recovery.open_with(
            self._database, self._administrator.kit_id, officer_id, code, secret, now
        )

        def used(tx: Transaction) -> None:
            self._offer(tx, officer_id, identity, secret)
            note(tx)

        self._set_pin(officer_id, pin, identity, used)
        self._tries.clear(counted)
        self._tries.clear(officer_id)

    def _offer(self, tx: Transaction, officer_id: str, identity: str, secret: bytes) -> None:
        if self._administrator is not None:
            recovery.offer(tx, self._administrator, officer_id, identity, secret)

    def _set_pin(
        self, officer_id: str, pin: str, identity: str, alongside: Note, card: bytes | None = None
    ) -> None:
        """Put the officer's identity under this PIN, and under no other any more; `card` as `need_card`."""
        needed = self._cards.of(officer_id) if card is None else card
        before = self._tickets.of(officer_id)
        with self._database.transaction() as tx:
            put = self._enclose(officer_id, pin, identity, needed)
            values = (put.salt, put.identity, officer_id)
            tx.execute("UPDATE officer SET salt = ?, identity = ? WHERE officer_id = ?", values)
            self._tickets.write(tx, officer_id, put.ticket)
            self._cards.write(tx, officer_id, needed)
            alongside(tx)
            tx.shred()
        self._source.forget(before)

    def _enclose(self, officer_id: str, pin: str, identity: str, card: bytes = NO_CARD) -> "_UnderPin":
        """What only this PIN on this device opens, for an officer who needs this card."""
        salt = secrets.token_bytes(keys.SALT)
        stretched = keys.stretch(pin, salt)
        enclosed = self._source.enclose(keys.proof(stretched, officer_id))
        key = keys.officer_key(stretched, enclosed.secret, officer_id)
        sealed = keys.lock_up(key, identity.encode(), _of(officer_id, "identity", card))
        return _UnderPin(salt, sealed, enclosed.ticket)

    def _release(self, officer_id: str, proof: bytes) -> bytes:
        try:
            return self._source.release(self._tickets.of(officer_id), proof)
        except KitError as problem:
            if problem.code is Code.PIN_BLOCKED:  # it looks at no PIN any more: ours is no reason to wait
                self._tries.clear(officer_id)
            raise

    def _opened(self, officer_id: str, row: "_Row", identity: str, secret: bytes) -> OpenVault:
        door_key = door.open_door(secret, officer_id, identity, row.door)
        signer = keys.unlock(door.signing_wrap(identity), row.signing_key, _of(officer_id, "signing_key"))
        return OpenVault(
            self._database,
            lease.open_store(self._database, secret, door_key),
            officer_id,
            row.name,
            newcomer.read_key(signer),
            x509.load_pem_x509_certificates(row.chain.encode()),
            door_key,
            identity,
        )

    def _row(self, officer_id: str) -> "_Row":
        row = self._database.row(
            "SELECT name, salt, identity, signing_key, chain, door FROM officer WHERE officer_id = ?",
            (officer_id,),
        )
        if row is None:
            raise KitError(Code.UNKNOWN_OFFICER, Remedy.OFFICER)
        return _Row(*row)

    def _secret(self) -> bytes:
        """The device secret; KitError other-device when this vault was made on another one.

        Without this check a lost key source would look like wrong PINs, and cost tries."""
        secret = self._source.device_secret()
        row = self._database.row("SELECT mark FROM device")
        if row is None or not hmac.compare_digest(row[0], _mark(secret)):
            raise KitError(Code.OTHER_DEVICE, Remedy.WORKSHOP, "the vault belongs to another device")
        return secret


def check_pin(pin: str) -> None:
    """WeakPin unless it is 6 to 12 digits, not all the same and not a run like 123456 or 987654."""
    if not PIN.fullmatch(pin):
        raise WeakPin("a PIN has 6 to 12 digits")
    steps = {int(after) - int(before) for before, after in pairwise(pin)}
    if len(steps) == 1 and steps <= {-1, 0, 1}:
        raise WeakPin("a PIN that is guessed first")


def _mark(secret: bytes) -> bytes:
    """Tells one device secret from another without telling anything about it."""
    return hmac.digest(secret, b"thuisloket/vault/device", hashlib.sha256)


def _of(officer_id: str, column: str, card: bytes = NO_CARD) -> bytes:
    return keys.bind(f"officer.{column}", f"{officer_id}/{card.hex()}" if card else officer_id, _VERSION)
