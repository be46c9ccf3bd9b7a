"""The PIN gate: who may open the vault. PIN and device secret together open it; tries are counted first."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from device.errors import Code, KitError, Remedy
from device.ports import Clock, KeySource
from device.vault import keys
from device.vault.database import Database
from device.vault.store import OpenVault
from device.vault.tickets import Tickets
from device.vault.tries import Standing, Tries
from protocol.identity import OFFICER_ID, Role, check_use, role_of

PIN = re.compile(r"[0-9]{6,12}")
_LONGEST_NAME = 100
_VERSION = 1


class WeakPin(ValueError):
    """Not a PIN anyone should choose: not 6 to 12 digits, one digit only, or digits in a row."""


@dataclass(frozen=True)
class KnownOfficer:
    officer_id: str
    name: str


class Gate:
    """One gate per vault. All calls from the database's own thread; `unlock` takes about 0.4 s."""

    def __init__(self, database: Database, source: KeySource, clock: Clock) -> None:
        self._database = database
        self._source = source
        self._tries = Tries(database, clock)
        self._tickets = Tickets(database)

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
        return OpenVault(self._database, keys.new_key())

    def add_officer(
        self, vault: OpenVault, officer_id: str, name: str, pin: str, key_pem: bytes, cert_pem: bytes
    ) -> None:
        """Let an officer in, with signing key (PKCS#8 PEM, unencrypted) and certificates (PEM, leaf first).

        WeakPin; ValueError when key, certificate and id are not of one officer, or the officer is known."""
        check_pin(pin)
        if (
            not OFFICER_ID.fullmatch(officer_id)
            or not 0 < len(name) <= _LONGEST_NAME
            or not name.isprintable()
        ):
            raise ValueError("not an officer's id and name")
        key, chain = _read_key(key_pem), x509.load_pem_x509_certificates(cert_pem)
        check_use(chain[0], Role.OFFICER)
        if role_of(chain[0]) != (Role.OFFICER, officer_id) or chain[0].public_key() != key.public_key():
            raise ValueError("the certificate is not this officer's, or not that of the key")
        if any(known.officer_id == officer_id for known in self.officers()):
            raise ValueError("the officer is known here")
        pem = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in chain)
        self._write(officer_id, name, pin, vault.store_key(), _write_key(key), pem.decode())

    def unlock(self, officer_id: str, pin: str) -> OpenVault:
        """Opened. KitError unknown-officer, too-many-tries (see `standing`), wrong-pin, pin-blocked (by the
        key source: waiting does not help), key-source-gone, vault-damaged.

        What cannot be a PIN is refused as wrong without counting: it is no guess."""
        row = self._row(officer_id)
        if self._tries.standing(officer_id).wait_s:
            raise KitError(Code.TOO_MANY_TRIES, Remedy.OFFICER)
        if not PIN.fullmatch(pin):
            raise KitError(Code.WRONG_PIN, Remedy.RETRY)
        self._check_device()
        self._tries.count(officer_id)
        name, salt, store_key, signing_key, chain = row
        stretched = keys.stretch(pin, salt)
        released = self._release(officer_id, keys.proof(stretched, officer_id))
        key = keys.officer_key(stretched, released, officer_id)
        try:
            opened = keys.unlock(key, store_key, _of(officer_id, "store_key"))
        except KitError as problem:
            raise KitError(Code.WRONG_PIN, Remedy.RETRY) from problem
        self._tries.clear(officer_id)
        signer = _read_key(keys.unlock(key, signing_key, _of(officer_id, "signing_key")))
        certificates = x509.load_pem_x509_certificates(chain.encode())
        return OpenVault(self._database, opened, officer_id, name, signer, certificates)

    def change_pin(self, officer_id: str, old: str, new: str) -> None:
        """Another PIN for the same officer. As `unlock`, and WeakPin (before a try is counted)."""
        check_pin(new)
        vault = self.unlock(officer_id, old)
        chain = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in vault.chain)
        self._write(
            officer_id, vault.name, new, vault.store_key(), _write_key(vault.signing_key()), chain.decode()
        )
        vault.lock()

    def _write(
        self, officer_id: str, name: str, pin: str, store_key: bytes, signing_key: bytes, chain: str
    ) -> None:
        salt = secrets.token_bytes(keys.SALT)
        self._check_device()
        stretched = keys.stretch(pin, salt)
        before, enclosed = (
            self._tickets.of(officer_id),
            self._source.enclose(keys.proof(stretched, officer_id)),
        )
        key = keys.officer_key(stretched, enclosed.secret, officer_id)
        wrapped = keys.lock_up(key, store_key, _of(officer_id, "store_key"))
        signer = keys.lock_up(key, signing_key, _of(officer_id, "signing_key"))
        with self._database.transaction() as tx:
            tx.execute(
                "INSERT OR REPLACE INTO officer VALUES (?, ?, ?, ?, ?, ?)",
                (officer_id, name, salt, wrapped, signer, chain),
            )
            self._tickets.write(tx, officer_id, enclosed.ticket)
            tx.shred()
        self._source.forget(before)

    def _release(self, officer_id: str, proof: bytes) -> bytes:
        try:
            return self._source.release(self._tickets.of(officer_id), proof)
        except KitError as problem:
            if problem.code is Code.PIN_BLOCKED:
                self._tries.clear(
                    officer_id
                )  # the source looks at no PIN any more: ours is no reason to wait
            raise

    def _row(self, officer_id: str) -> tuple[str, bytes, bytes, bytes, str]:
        row = self._database.row(
            "SELECT name, salt, store_key, signing_key, chain FROM officer WHERE officer_id = ?",
            (officer_id,),
        )
        if row is None:
            raise KitError(Code.UNKNOWN_OFFICER, Remedy.OFFICER)
        name, salt, store_key, signing_key, chain = row
        return name, salt, store_key, signing_key, chain

    def _check_device(self) -> None:
        """KitError vault-damaged when this vault was made on another device.

        Without this check a lost key source would look like wrong PINs, and cost tries."""
        mark = _mark(self._source.device_secret())
        row = self._database.row("SELECT mark FROM device")
        if row is None or not hmac.compare_digest(row[0], mark):
            raise KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, "the vault belongs to another device")


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


def _of(officer_id: str, column: str) -> bytes:
    return keys.bind(f"officer.{column}", officer_id, _VERSION)


def _read_key(data: bytes) -> ec.EllipticCurvePrivateKey:
    load = (
        serialization.load_pem_private_key
        if data.startswith(b"-----")
        else serialization.load_der_private_key
    )
    key = load(data, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("a signing key is on P-256")
    return key


def _write_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
