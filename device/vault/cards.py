"""Which officers open the vault with their own eID as well as with their PIN.

What stands here is part of what the store key was wrapped for: whoever takes an officer's line out of this
table, or puts in another card, has made that officer's key unusable, not the card unnecessary.
"""

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from device.vault.database import Database, Transaction

TABLES = ("CREATE TABLE IF NOT EXISTS card (officer_id TEXT PRIMARY KEY, fingerprint BLOB NOT NULL) STRICT",)
NO_CARD = b""


def fingerprint(certificate: bytes) -> bytes:
    """SHA-256 of the key in a certificate (DER): the card, whatever else the certificate says."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


class Cards:
    def __init__(self, database: Database) -> None:
        self._database = database
        database.define(TABLES)

    def of(self, officer_id: str) -> bytes:
        """Fingerprint of the officer's card; NO_CARD for one who needs none."""
        row = self._database.row("SELECT fingerprint FROM card WHERE officer_id = ?", (officer_id,))
        return NO_CARD if row is None else bytes(row[0])

    def write(self, tx: Transaction, officer_id: str, card: bytes) -> None:
        tx.execute("DELETE FROM card WHERE officer_id = ?", (officer_id,))
        if card:
            tx.execute("INSERT INTO card VALUES (?, ?)", (officer_id, card))
