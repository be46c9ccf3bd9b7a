"""Key pairs of age's post-quantum recipient type: X-Wing, that is ML-KEM-768 with X25519 (c2sp.org/age)."""

import secrets
from functools import lru_cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey

from protocol.sealed import bech32

RECIPIENT_PREFIX = "age1pq"
IDENTITY_PREFIX = "AGE-SECRET-KEY-PQ-"
_SEED = 32
_MLKEM_SEED = 64
_MLKEM_PUBLIC = 1184
_X25519 = 32
_LONGEST = 2048  # characters; a recipient has 1959


class BadKey(ValueError):
    """The text is not an age post-quantum recipient or identity. The text itself is never in the message."""


def generate() -> tuple[str, str]:
    """A new key pair: (identity `AGE-SECRET-KEY-PQ-1...`, recipient `age1pq1...`)."""
    seed = secrets.token_bytes(_SEED)
    identity = bech32.encode(IDENTITY_PREFIX, seed)
    return identity, recipient_of(identity)


def identity_from(seed: bytes) -> str:
    """The identity of a seed of 32 bytes, for a key pair that is derived and not kept."""
    if len(seed) != _SEED:
        raise BadKey("a seed of another length")
    return bech32.encode(IDENTITY_PREFIX, seed)


def recipient_of(identity: str) -> str:
    """The public half of an identity. BadKey."""
    mlkem, x25519 = _halves(identity)
    public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
    return bech32.encode(RECIPIENT_PREFIX, public)


def read_identity(identity: str) -> MLKEM768X25519PrivateKey:
    """The private key spelled by `identity`. BadKey."""
    return MLKEM768X25519PrivateKey(*_halves(identity))


@lru_cache(maxsize=16)
def read_recipient(recipient: str) -> MLKEM768X25519PublicKey:
    """The public key spelled by `recipient`. BadKey.

    Remembered: the same few stand in every list, and one packet is sealed to each of them once a group."""
    raw = _decode(RECIPIENT_PREFIX, recipient, _MLKEM_PUBLIC + _X25519)
    try:
        mlkem = MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC])
        return MLKEM768X25519PublicKey(mlkem, X25519PublicKey.from_public_bytes(raw[_MLKEM_PUBLIC:]))
    except ValueError as problem:
        raise BadKey("not an ML-KEM-768 and X25519 public key") from problem


def _halves(identity: str) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    # draft-connolly-cfrg-xwing-kem: SHAKE256 stretches the seed to d || z of ML-KEM and the X25519 scalar
    shake = hashes.Hash(hashes.SHAKE256(_MLKEM_SEED + _X25519))
    shake.update(_decode(IDENTITY_PREFIX, identity, _SEED))
    stretched = shake.finalize()
    return (
        MLKEM768PrivateKey.from_seed_bytes(stretched[:_MLKEM_SEED]),
        X25519PrivateKey.from_private_bytes(stretched[_MLKEM_SEED:]),
    )


def _decode(prefix: str, text: str, length: int) -> bytes:
    if len(text) > _LONGEST:
        raise BadKey("too long for an age key")
    try:
        raw = bech32.decode(prefix, text)
    except ValueError as problem:
        raise BadKey(f"not an {prefix} key") from problem
    if len(raw) != length:
        raise BadKey(f"an {prefix} key of the wrong length")
    return raw
