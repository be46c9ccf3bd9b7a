"""Is the chip the one the data was made for? Files can be copied byte for byte; the basic key cannot.

Applet 1.8 signs a challenge with its basic key without a PIN; the public key is file 4040 and its SHA-384
stands in the signed identity file. Older chips have no such key: nothing can be proven there and nothing is
claimed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha384
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key

from device.drivers.eid.der import BadDer, cut
from device.drivers.eid.identity import BASIC_KEY_HASH

APPLET_BYTE = 21  # of GET CARD DATA
WITH_BASIC_KEY = 0x18
HALF = 48  # bytes of r and of s

Genuine = Literal["proven", "unproven", "failed"]


@dataclass(frozen=True)
class Proof:
    """One run of INTERNAL AUTHENTICATE: a fresh digest, and r || s or nothing."""

    digest: bytes
    answer: bytes = field(repr=False)


def applet_version(card_data: bytes) -> int:
    """0x11, 0x17, 0x18; 0 when the card did not say."""
    return card_data[APPLET_BYTE] if len(card_data) > APPLET_BYTE else 0


def must_prove(card_data: bytes, fields: Mapping[int, bytes]) -> bool:
    """A chip that says 1.8, or whose signed data names a basic key: 1.8 data on an older chip is a copy."""
    return applet_version(card_data) >= WITH_BASIC_KEY or BASIC_KEY_HASH in fields


def basic_key_matches(fields: Mapping[int, bytes], basic_key: bytes) -> bool:
    """The key file is the one the register signed for; also true when it signed for none."""
    return BASIC_KEY_HASH not in fields or sha384(basic_key).digest() == fields[BASIC_KEY_HASH]


def judge_chip(
    fields: Mapping[int, bytes], card_data: bytes, basic_key: bytes, proof: Proof | None
) -> Genuine:
    """proven, failed, or unproven where the generation has no means."""
    if not must_prove(card_data, fields):
        return "unproven"
    if proof is None or BASIC_KEY_HASH not in fields or not basic_key_matches(fields, basic_key):
        return "failed"
    return "proven" if _signed(basic_key, proof) else "failed"


def _signed(basic_key: bytes, proof: Proof) -> bool:
    if len(proof.answer) != 2 * HALF:
        return False
    r, s = (int.from_bytes(half, "big") for half in (proof.answer[:HALF], proof.answer[HALF:]))
    try:
        key = load_der_public_key(cut(basic_key))
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        signature = utils.encode_dss_signature(r, s)
        key.verify(signature, proof.digest, ec.ECDSA(utils.Prehashed(hashes.SHA384())))
    except (BadDer, InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True
