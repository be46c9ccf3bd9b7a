"""Salted sessions with a TPM: nobody on its bus reads a secret, or changes a command, unnoticed. Pure.

TCG TPM 2.0 Library, part 1: 11.4.10 (KDFa, KDFe), 19.6 (session HMAC), 21 (parameter encryption), C.6.1 (salt
by ECDH).
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from device.drivers.keys.tpm.marshal import Authorization, BadAnswer, sized, u32

DIGEST = 32
CONTINUE, DECRYPT, ENCRYPT = 0x01, 0x20, 0x40  # TPMA_SESSION; decrypt: what we send, encrypt: what comes back


def kdf_a(key: bytes, label: bytes, first: bytes, second: bytes, size: int) -> bytes:
    """SP 800-108 in counter mode with HMAC-SHA-256; `size` in bytes."""
    blocks = b"".join(
        hmac.digest(key, u32(i) + label + b"\0" + first + second + u32(size * 8), hashlib.sha256)
        for i in range(1, -(-size // DIGEST) + 1)
    )
    return blocks[:size]


def kdf_e(z: bytes, label: bytes, ours: bytes, theirs: bytes) -> bytes:
    """SP 800-56A with SHA-256, 32 bytes."""
    return hashlib.sha256(u32(1) + z + label + b"\0" + ours + theirs).digest()


def salt_for(storage: ec.EllipticCurvePublicKey) -> tuple[bytes, bytes]:
    """(salt, the same for the TPM's eyes alone): ECDH of a fresh key with a storage key of the TPM."""
    fresh = ec.generate_private_key(ec.SECP256R1())
    ours, theirs = fresh.public_key().public_numbers(), storage.public_numbers()
    x, y = ours.x.to_bytes(32, "big"), ours.y.to_bytes(32, "big")
    salt = kdf_e(fresh.exchange(ec.ECDH(), storage), b"SECRET", x, theirs.x.to_bytes(32, "big"))
    return salt, sized(x) + sized(y)


@dataclass(frozen=True)
class Session:
    """One session as it stands; `theirs` is the TPM's newest nonce. `auth` is that of what it authorizes."""

    handle: int
    key: bytes = field(repr=False)
    theirs: bytes
    ours: bytes = b""
    auth: bytes = field(default=b"", repr=False)
    attributes: int = CONTINUE

    def authorizing(self, auth: bytes, attributes: int = CONTINUE) -> "Session":
        """For the next command, with a nonce of its own. Zeros at the end of a value do not count (part 1,
        17.6.4.3)."""
        return replace(self, ours=secrets.token_bytes(DIGEST), auth=auth.rstrip(b"\0"), attributes=attributes)

    def conceal(self, parameters: bytes) -> bytes:
        """The first parameter, a TPM2B, encrypted where the attributes say so."""
        return (
            self._first(parameters, self.ours, self.theirs, True) if self.attributes & DECRYPT else parameters
        )

    def reveal(self, parameters: bytes, theirs: bytes) -> bytes:
        if not self.attributes & ENCRYPT:
            return parameters
        return self._first(parameters, theirs, self.ours, False)

    def authorization(self, code: int, names: Sequence[bytes], parameters: bytes) -> Authorization:
        digest = hashlib.sha256(u32(code) + b"".join(names) + parameters).digest()
        signed = digest + self.ours + self.theirs + bytes([self.attributes])
        mac = hmac.digest(self.key + self.auth, signed, hashlib.sha256)
        return Authorization(self.ours, self.attributes, mac, self.handle)

    def answered(self, code: int, parameters: bytes, told: Authorization) -> "Session":
        """The session after its answer. BadAnswer when the TPM that holds its key did not give it."""
        digest = hashlib.sha256(u32(0) + u32(code) + parameters).digest()
        signed = digest + told.nonce + self.ours + bytes([told.attributes])
        if not hmac.compare_digest(hmac.digest(self.key + self.auth, signed, hashlib.sha256), told.hmac):
            raise BadAnswer("an answer that the TPM did not give")
        return replace(self, theirs=told.nonce)

    def _first(self, parameters: bytes, newer: bytes, older: bytes, encrypt: bool) -> bytes:
        size = int.from_bytes(parameters[:2], "big")
        material = kdf_a(self.key + self.auth, b"CFB", newer, older, 32)
        cipher = Cipher(algorithms.AES(material[:16]), CFB(material[16:]))
        change = cipher.encryptor() if encrypt else cipher.decryptor()
        return parameters[:2] + change.update(parameters[2 : 2 + size]) + parameters[2 + size :]
