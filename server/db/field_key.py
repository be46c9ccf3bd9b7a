"""Encryption of one column of one row: a copy of the database alone tells nothing about a person.

A key per municipality is derived from the fleet's field key (HKDF-SHA256). A sealed field is
version byte 1 | nonce, 12 bytes | AES-256-GCM ciphertext and tag; associated data `table|column|row id`, so
that a value moved to another row or column does not open.
"""

import hmac
import os
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = b"\x01"
_NONCE = 12


class FieldDamaged(Exception):
    """A sealed field does not open: other key, other place, or changed bytes."""


class FieldKey:
    """`secret`: 32 bytes. Thread-safe."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != 32:
            raise ValueError("the field key is exactly 32 bytes")
        self._secret = secret
        self._ciphers: dict[str, AESGCM] = {}

    @classmethod
    def read(cls, path: Path) -> "FieldKey":
        """From a file of exactly 32 bytes. ValueError or OSError otherwise."""
        return cls(path.read_bytes())

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose; knowing them tells nothing about the others."""
        return HKDF(SHA256(), 32, None, b"thuisloket-fleet/1|" + purpose.encode()).derive(self._secret)

    def seal(self, tenant: str, place: str, text: str) -> bytes:
        """Ciphertext of `text` for `place`, written `table|column|row id`."""
        nonce = os.urandom(_NONCE)
        return _VERSION + nonce + self._cipher(tenant).encrypt(nonce, text.encode(), place.encode())

    def open(self, tenant: str, place: str, sealed: bytes) -> str:
        """The text sealed for exactly this place. FieldDamaged otherwise."""
        if sealed[:1] != _VERSION:
            raise FieldDamaged(place)
        nonce, ciphertext = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        try:
            return self._cipher(tenant).decrypt(nonce, ciphertext, place.encode()).decode()
        except (InvalidTag, ValueError) as problem:
            raise FieldDamaged(place) from problem

    def fingerprint(self, tenant: str, *facts: str) -> str:
        """64 hex digits that are the same for the same facts and cannot be guessed back without the key."""
        message = b"".join(len(fact.encode()).to_bytes(4) + fact.encode() for fact in facts)
        return hmac.new(self.derive(f"fingerprint|{tenant}"), message, sha256).hexdigest()

    def _cipher(self, tenant: str) -> AESGCM:
        if tenant not in self._ciphers:
            self._ciphers[tenant] = AESGCM(self.derive(f"fields|{tenant}"))
        return self._ciphers[tenant]
