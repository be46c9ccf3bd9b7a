"""A security key registered: its public key, and its maker's word that the key lives in one of its devices.

W3C Web Authentication Level 2, sections 6.5 (attestation object) and 8.2 (packed), cut down as `webauthn` is:
one relying party, ES256, a holder verified, a key that cannot be copied, attested with a certificate. Pure.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.sealed import cbor
from protocol.sealed.webauthn import RP_ID, decode, read_client

LONGEST = 8 * 1024  # characters of a member
_PRESENT_VERIFIED_ATTESTED = 0x01 | 0x04 | 0x40  # and no backup, no extensions
_KEY = {1: 2, 3: -7, -1: 1}  # COSE (RFC 9053): EC2, ES256, P-256; -2 and -3 are the point
_OU = "Authenticator Attestation"  # section 8.2.1


class BadRegistration(ValueError):
    """Not the registration of a security key of a maker that is trusted."""


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `navigator.credentials.create` gave, each in base64url."""

    officer_id: str
    client_data: str
    attestation_object: str


@dataclass(frozen=True)
class Registered:
    """`credential`: what the authenticator knows the key by."""

    credential: bytes
    key: ec.EllipticCurvePublicKey


def challenge_of(officer_id: str) -> bytes:
    """What a key is asked to be registered for this officer."""
    return hashlib.sha256(f"thuisloket/security-key|{officer_id}".encode()).digest()


def verify(told: Registration, makers: Sequence[x509.Certificate], at: datetime) -> Registered:
    """The key, if one of `makers` attests it. BadRegistration."""
    try:
        client = decode(told.client_data, LONGEST)
        read_client(client, "webauthn.create", challenge_of(told.officer_id))
        attestation = cbor.loads(decode(told.attestation_object, LONGEST))
        data, statement = _attested(attestation)
        registered = _read(data)
        _check(statement, data + hashlib.sha256(client).digest(), makers, at)
    except BadRegistration:
        raise
    except ValueError as problem:
        raise BadRegistration(str(problem)) from problem
    return registered


def credential_text(credential: bytes) -> str:
    """As commands take it: base64url."""
    return base64.urlsafe_b64encode(credential).rstrip(b"=").decode()


def _attested(attestation: object) -> tuple[bytes, Mapping[object, object]]:
    if not isinstance(attestation, dict) or attestation.get("fmt") != "packed":
        raise BadRegistration("not attested as `packed`: this authenticator does not say what it is")
    data, statement = attestation.get("authData"), attestation.get("attStmt")
    if not isinstance(data, bytes) or not isinstance(statement, dict):
        raise BadRegistration("no attestation object")
    return data, statement


def _read(data: bytes) -> Registered:
    """Authenticator data: hash of the name, flags, counter, maker's model, length, credential, key."""
    if data[:32] != hashlib.sha256(RP_ID.encode()).digest():
        raise BadRegistration("for another relying party")
    if len(data) < 55 or data[32] != _PRESENT_VERIFIED_ATTESTED:
        raise BadRegistration("the holder was not verified, or the key can be copied")
    end = 55 + int.from_bytes(data[53:55])
    credential, key = data[55:end], cbor.loads(data[end:])
    if not isinstance(key, dict) or {name: key.get(name) for name in _KEY} != _KEY or len(key) != 5:
        raise BadRegistration("not a key for ES256")
    x, y = key.get(-2), key.get(-3)
    if not isinstance(x, bytes) or not isinstance(y, bytes) or len(x) != 32 or len(y) != 32:
        raise BadRegistration("no point")
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1())
    return Registered(credential, numbers.public_key())


def _check(
    statement: Mapping[object, object], signed: bytes, makers: Sequence[x509.Certificate], at: datetime
) -> None:
    x5c, signature = statement.get("x5c"), statement.get("sig")
    if statement.get("alg") != -7 or not isinstance(signature, bytes) or not isinstance(x5c, list):
        raise BadRegistration("not attested by its maker with ES256")
    chain = [x509.load_der_x509_certificate(each) for each in x5c[:4] if isinstance(each, bytes)]
    if not chain or len(chain) != len(x5c):
        raise BadRegistration("no certificates of its maker")
    leaf = chain[0]
    units = [
        name.value for name in leaf.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
    ]
    key = leaf.public_key()
    if units != [_OU] or not isinstance(key, ec.EllipticCurvePublicKey):
        raise BadRegistration("not a certificate of an authenticator")
    if not _is_of(chain, makers, at):
        raise BadRegistration("a maker that is not trusted")
    try:
        key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as problem:
        raise BadRegistration("the attestation does not verify") from problem


def _is_of(chain: Sequence[x509.Certificate], makers: Iterable[x509.Certificate], at: datetime) -> bool:
    """Whether each is issued by the next, the last by a maker (or is one itself), and all are valid."""
    if not all(one.not_valid_before_utc <= at < one.not_valid_after_utc for one in chain):
        return False
    try:
        for one, issuer in pairwise(chain):
            one.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return any(chain[-1] == maker or _issued(chain[-1], maker) for maker in makers)


def _issued(one: x509.Certificate, maker: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(maker)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
