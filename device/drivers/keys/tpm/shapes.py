"""The objects a kit has in its TPM: templates, names and policies, as TPM 2.0 spells them. Pure.

TCG TPM 2.0 Library, part 2: 12.2 (TPMT_PUBLIC), 8.3 (TPMA_OBJECT), 13 (NV); part 1: 16 (names).
"""

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from device.drivers.keys.tpm.marshal import BadAnswer, Reader, sized, u16, u32

OWNER, NULL = 0x40000001, 0x40000007
STORAGE_HANDLE = 0x81000001
"""Persistent storage root key of the owner, where TCG's provisioning guidance puts it."""
INDEXES = range(0x01807400, 0x01807500)
"""NV indexes of officers' PINs, in the range TCG leaves to owners."""

_SHA256, _AES, _CFB, _NONE, _ECDSA, _ECC, _KEYED_HASH, _P256 = 0x0B, 0x06, 0x43, 0x10, 0x18, 0x23, 0x08, 0x03
AES_CFB = u16(_AES) + u16(128) + u16(_CFB)
NO_SCHEME = u16(_NONE)
SHA256 = u16(_SHA256)

FIXED = 0x02 | 0x10  # fixedTPM, fixedParent: made here, never leaves
_MADE_HERE, _WITH_AUTH, _WITH_POLICY = 0x20, 0x40, 0x80
NO_DA = 0x400
_RESTRICTED, _DECRYPT, _SIGN = 0x10000, 0x20000, 0x40000

# No attribute may let dictionary-attack lockout touch anything of a kit: power cuts count towards it.
STORAGE_ATTRIBUTES = FIXED | _MADE_HERE | _WITH_AUTH | NO_DA | _RESTRICTED | _DECRYPT
SIGN_ATTRIBUTES = FIXED | _MADE_HERE | _WITH_AUTH | NO_DA | _SIGN
SEALED_ATTRIBUTES = FIXED | NO_DA

PIN_FAIL = 0x8 << 4
_POLICY_WRITE, _OWNER_READ, _AUTH_READ, _NV_NO_DA, _WRITTEN = 0x8, 0x20000, 0x40000, 1 << 25, 1 << 29
PIN_ATTRIBUTES = PIN_FAIL | _POLICY_WRITE | _OWNER_READ | _AUTH_READ | _NV_NO_DA
POLICY_SECRET, POLICY_SIGNED = 0x151, 0x160


def is_pin_index(attributes: int) -> bool:
    """Whether TPMA_NV are those of an officer's index, used already or not."""
    return attributes & ~_WRITTEN == PIN_ATTRIBUTES


def storage_template() -> bytes:
    """ECC P-256 storage key with AES-128, in TPMT_PUBLIC."""
    return (
        u16(_ECC) + SHA256 + u32(STORAGE_ATTRIBUTES) + sized(b"")
        + AES_CFB + NO_SCHEME + u16(_P256) + NO_SCHEME + sized(b"") + sized(b"")
    )  # fmt: skip


def sign_template() -> bytes:
    """ECDSA P-256 with SHA-256."""
    return (
        u16(_ECC) + SHA256 + u32(SIGN_ATTRIBUTES) + sized(b"")
        + NO_SCHEME + u16(_ECDSA) + SHA256 + u16(_P256) + NO_SCHEME + sized(b"") + sized(b"")
    )  # fmt: skip


def external_key(public: ec.EllipticCurvePublicKey) -> bytes:
    """Somebody else's ECDSA P-256 key, to verify with."""
    numbers = public.public_numbers()
    return (
        u16(_ECC) + SHA256 + u32(_WITH_AUTH | _SIGN) + sized(b"")
        + NO_SCHEME + u16(_ECDSA) + SHA256 + u16(_P256) + NO_SCHEME
        + sized(numbers.x.to_bytes(32, "big")) + sized(numbers.y.to_bytes(32, "big"))
    )  # fmt: skip


def sealed_template(policy: bytes) -> bytes:
    """Data under `policy`, or for whoever asks when it is empty."""
    attributes = SEALED_ATTRIBUTES | (_WITH_POLICY if policy else _WITH_AUTH)
    return u16(_KEYED_HASH) + SHA256 + u32(attributes) + sized(policy) + NO_SCHEME + sized(b"")


def point(public: bytes, attributes: int) -> ec.EllipticCurvePublicKey:
    """The key in a TPMT_PUBLIC. BadAnswer unless it is a P-256 key with exactly these attributes."""
    reader = Reader(public)
    kind, named, found = reader.number(2), reader.number(2), reader.number(4)
    if (kind, named, found) != (_ECC, _SHA256, attributes):
        raise BadAnswer("a key of another kind")
    reader.sized()
    reader.take(6 if attributes & _RESTRICTED else 2)  # symmetric
    reader.take(2 if attributes & _RESTRICTED else 4)  # scheme
    if reader.number(2) != _P256:
        raise BadAnswer("a key on another curve")
    reader.take(2)
    x, y = reader.sized(), reader.sized()
    try:
        numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1())
        return numbers.public_key()
    except ValueError as problem:
        raise BadAnswer("no point of its curve") from problem


def name(public: bytes) -> bytes:
    """Of an object or of an NV index: what commands are bound to."""
    return SHA256 + hashlib.sha256(public).digest()


@dataclass(frozen=True)
class PinIndex:
    """An NV index that counts wrong proofs (TPM_NT_PIN_FAIL).

    `writer` is the policy of whoever may set its limit: a key that is thrown away after it was set once. So
    an index that somebody deletes and defines again never gets the same name: it cannot be written again."""

    index: int
    writer: bytes

    def public(self, *, written: bool) -> bytes:
        """TPMS_NV_PUBLIC."""
        attributes = PIN_ATTRIBUTES | (_WRITTEN if written else 0)
        return u32(self.index) + SHA256 + u32(attributes) + sized(self.writer) + u16(8)

    def name(self, *, written: bool = True) -> bytes:
        return name(self.public(written=written))

    def policy(self) -> bytes:
        """Of what may be opened by whoever gives this index the right proof."""
        return extend(POLICY_SECRET, self.name())


def extend(command: int, of: bytes) -> bytes:
    """The policy that has PolicySecret or PolicySigned of that name as its only condition (part 3, 23)."""
    first = hashlib.sha256(bytes(32) + u32(command) + of).digest()
    return hashlib.sha256(first).digest()  # without a policyRef
