"""The kit's key tree, and the one way the vault encrypts.

PIN (Argon2id) -> proof -> the key source releases its share
PIN (Argon2id) + that share -> officer key, per officer
    officer key -> wraps the officer's identity, which a one-use code opens too (recovery.py)
        identity -> wraps that officer's signing key; opens the door key (door.py)
            door key + share of the fleet (lease.py) -> store key, another one in every epoch
                store key -> records key -> wraps one random key per visit -> the records of that visit
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from device.errors import Code, KitError, Remedy

KEY = 32  # bytes
SALT = 16
NONCE = 12  # 96 bits, random: few enough messages per key for that (NIST SP 800-38D: 2**32)
OVERHEAD = NONCE + 16  # bytes by which what was locked up is longer
Cipher = AESGCM
MEMORY_KIB = 64 * 1024
ITERATIONS = 3
LANES = 4


def new_key() -> bytes:
    return secrets.token_bytes(KEY)


def derive(key: bytes, label: str) -> bytes:
    """A key of its own for each purpose (HKDF-SHA-256)."""
    info = f"thuisloket/vault/{label}".encode()
    return HKDF(algorithm=hashes.SHA256(), length=KEY, salt=None, info=info).derive(key)


def stretch(pin: str, salt: bytes) -> bytes:
    """The PIN made slow to guess: 64 MiB and about 0.3 s, on purpose."""
    return Argon2id(salt=salt, length=KEY, iterations=ITERATIONS, lanes=LANES, memory_cost=MEMORY_KIB).derive(
        pin.encode()
    )


def proof(stretched: bytes, officer_id: str) -> bytes:
    """What the key source is shown: who opens the source finds neither the PIN nor the officer's key."""
    return derive(stretched, f"proof|{officer_id}")


def officer_key(stretched: bytes, released: bytes, officer_id: str) -> bytes:
    """What PIN and device together give; neither half is enough."""
    return derive(stretched + released, f"officer|{officer_id}")


def bind(table: str, name: str, version: int) -> bytes:
    """Associated data: a ciphertext opens only in the row and the version it was made for."""
    return f"{table}|{name}|{version}".encode()


def lock_up(key: bytes, plain: bytes, where: bytes) -> bytes:
    """AES-256-GCM with a random nonce in front."""
    nonce = secrets.token_bytes(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, where)


def unlock(key: bytes, sealed: bytes, where: bytes) -> bytes:
    """KitError vault-damaged when key, place or bytes are not those of `lock_up`."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE], memoryview(sealed)[NONCE:], where)
    except (InvalidTag, ValueError) as problem:
        raise KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, where.decode()) from problem


def cipher_of(key: bytes) -> Cipher:
    """For what is unlocked with one key, one after the other."""
    return AESGCM(key)


def unlock_into(cipher: Cipher, sealed: bytes, where: bytes, space: memoryview) -> None:
    """As `unlock`, into memory of exactly the size of the content."""
    try:
        cipher.decrypt_into(sealed[:NONCE], memoryview(sealed)[NONCE:], where, space)
    except (InvalidTag, ValueError) as problem:
        raise KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, where.decode()) from problem
