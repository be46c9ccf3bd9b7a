"""A new officer's key on its way to one kit, under a one-use code that the officer was given. Pure.

The authority makes the officer's signing key and certificate, lets that key sign for which kit and until when
it may be used, and locks both up under a code of twenty digits. Only who had the key at that moment could
sign, and only the authority had: that binds code, officer and kit without a key of the authority on any
server. What carries it (the fleet, the kit's uplink) can neither read it nor use it elsewhere.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from msgspec import Meta

from protocol import canonical, signed
from protocol.bad import Bad
from protocol.identity import KIT_ID, OFFICER_ID, Role, role_of
from protocol.instant import PATTERN as INSTANT
from protocol.instant import read_instant, write_instant

KIND = "enrolment"
DIGITS = 20  # 66 bits, and each guess costs what Argon2id costs
LONGEST = 4 * 1024  # bytes, sealed
_SALT, _NONCE = 16, 12
_MEMORY_KIB, _ITERATIONS, _LANES = 64 * 1024, 3, 4
_CODE = re.compile(rf"[0-9]{{{DIGITS}}}")


class BadEnrolment(Bad):
    """code: enrolment-code (it does not open), enrolment-untrusted (another kit's or officer's, or not from
    the authority), enrolment-expired."""


@dataclass(frozen=True)
class Newcomer:
    """An officer's key and certificates (leaf first), and the enrolment's own number, used once."""

    officer_id: str
    nonce: str
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...] = field(repr=False)


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    v: Annotated[int, Meta(ge=1, le=1)] = 1
    kit_id: Annotated[str, Meta(pattern=rf"^({KIT_ID.pattern})\Z")]
    officer_id: Annotated[str, Meta(pattern=rf"^({OFFICER_ID.pattern})\Z")]
    nonce: Annotated[str, Meta(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")]
    not_after: Annotated[str, Meta(pattern=INSTANT)]


class _Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    document: str
    key: str  # PKCS#8 DER, base64


def new_code() -> str:
    """Twenty digits in groups of four, by chance."""
    return spell(f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}")


def spell(digits: str) -> str:
    return " ".join(digits[at : at + 4] for at in range(0, DIGITS, 4))


def seal(code: str, kit_id: str, newcomer: Newcomer, not_after: datetime) -> bytes:
    """What travels to the kit. ValueError when it is not a code, or names or key do not fit."""
    said = _Said(
        kit_id=kit_id,
        officer_id=newcomer.officer_id,
        nonce=newcomer.nonce,
        not_after=write_instant(not_after),
    )
    payload = canonical.dumps(msgspec.to_builtins(said))
    msgspec.convert(canonical.loads(payload), _Said)  # a Struct's constructor checks nothing
    key = newcomer.key
    document = signed.sign(KIND, payload, key, signed.key_id(key.public_key()), newcomer.chain)
    der = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    plain = msgspec.json.encode(_Held(document, base64.b64encode(der).decode()))
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    about = _about(kit_id, newcomer.officer_id)
    return salt + nonce + AESGCM(_stretch(code, salt)).encrypt(nonce, plain, about)


def open_(
    sealed: bytes, code: str, kit_id: str, officer_id: str, roots: Iterable[x509.Certificate], at: datetime
) -> Newcomer:
    """The officer's key, if the code opens it and the authority meant this kit, this officer, this hour.

    BadEnrolment. Takes about 0.3 s."""
    if not _SALT + _NONCE < len(sealed) <= LONGEST:
        raise BadEnrolment("enrolment-untrusted", "too long or too short")
    salt, nonce, hidden = sealed[:_SALT], sealed[_SALT : _SALT + _NONCE], sealed[_SALT + _NONCE :]
    try:
        plain = AESGCM(_stretch(code, salt)).decrypt(nonce, hidden, _about(kit_id, officer_id))
    except (InvalidTag, ValueError) as problem:
        raise BadEnrolment("enrolment-code") from problem
    try:
        held = msgspec.json.decode(plain, type=_Held)
        payload, leaf = signed.verify_chain(held.document, KIND, roots, Role.OFFICER, at)
        said = msgspec.convert(canonical.loads(payload, LONGEST), _Said)
        not_after = read_instant(said.not_after)
        key = serialization.load_der_private_key(base64.b64decode(held.key, validate=True), None)
        chain = signed.chain_of(held.document, KIND)
    except (ValueError, TypeError, msgspec.DecodeError, msgspec.ValidationError) as problem:
        raise BadEnrolment("enrolment-untrusted", str(problem)[:200]) from problem
    if (said.kit_id, said.officer_id) != (kit_id, officer_id) or role_of(leaf)[1] != officer_id:
        raise BadEnrolment("enrolment-untrusted", "for another kit or officer")
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != leaf.public_key():
        raise BadEnrolment("enrolment-untrusted", "not the key of its certificate")
    if at >= not_after:
        raise BadEnrolment("enrolment-expired")
    return Newcomer(officer_id, said.nonce, key, tuple(chain))


def _stretch(code: str, salt: bytes) -> bytes:
    digits = code.replace(" ", "").replace("-", "")
    if _CODE.fullmatch(digits) is None:
        raise ValueError(f"a code has {DIGITS} digits")
    slow = Argon2id(salt=salt, length=32, iterations=_ITERATIONS, lanes=_LANES, memory_cost=_MEMORY_KIB)
    return slow.derive(digits.encode())


def _about(kit_id: str, officer_id: str) -> bytes:
    return hashlib.sha256(f"thuisloket/enrolment|{kit_id}|{officer_id}".encode()).digest()
