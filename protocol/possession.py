"""Proof that the holder of an eID was there with card and PIN: what the card signs, the evidence that goes
into the application, and how anybody checks it again (docs/protocol.md 3, "Possession"). Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from protocol.chain import may_issue
from protocol.instant import PATTERN, read_instant

PART = "evidence-possession.json"
NONCE = 32  # bytes
LONGEST = 32_768  # bytes of the part

Scheme = Literal["rsa-pkcs1v15-sha256", "ecdsa-p384-sha384"]
Code = Literal["malformed", "another-visit", "from-the-future", "untrusted", "signature", "validity"]

_HASHES = (hashes.SHA1, hashes.SHA256, hashes.SHA384, hashes.SHA512)  # SHA-1: the first cards have no other
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class BadProof(ValueError):
    """The evidence proves nothing; `code` says why."""

    def __init__(self, code: Code) -> None:
        super().__init__(code)
        self.code: Code = code


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part `evidence-possession.json`; bytes are base64 in it. `signature` is DER for ECDSA."""

    v: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    scheme: Scheme
    message: Annotated[bytes, msgspec.Meta(max_length=512)]
    signature: Annotated[bytes, msgspec.Meta(max_length=1024)]
    certificate: Annotated[bytes, msgspec.Meta(max_length=8192)]
    authority: Annotated[bytes, msgspec.Meta(max_length=8192)]
    at: Annotated[str, msgspec.Meta(pattern=PATTERN)]
    certificate_valid: bool

    def __repr__(self) -> str:
        return "Evidence(...)"


@dataclass(frozen=True)
class Holder:
    """Whose card it was. `root`: the trusted certificate at the top."""

    national_number: str = field(repr=False)
    certificate_valid: bool
    root: x509.Certificate = field(repr=False)


def purpose(visit_id: str, service_id: str, tenant: str) -> bytes:
    """What stands before the nonce in the signed message: a proof fits one visit and nothing else."""
    return f"thuisloket-possession/1\n{visit_id}\n{service_id}\n{tenant}\n".encode()


def encode(evidence: Evidence) -> bytes:
    return msgspec.json.encode(evidence, order="sorted")


def check(data: bytes, expected: bytes, roots: Sequence[x509.Certificate], sealed_at: datetime) -> Holder:
    """The holder that `data` (the part) proves. `expected` is `purpose` of the manifest's visit, `roots` the
    Belgium Root CAs, `sealed_at` the manifest's `created_utc`. BadProof."""
    if len(data) > LONGEST:
        raise BadProof("malformed")
    try:
        evidence = msgspec.json.decode(data, type=Evidence)
        at = read_instant(evidence.at)
        holder, authority = _load(evidence.certificate), _load(evidence.authority)
        key = holder.public_key()
        numbers = [str(each.value) for each in holder.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)]
    except (msgspec.DecodeError, *_UNREADABLE) as problem:
        raise BadProof("malformed") from problem
    if len(numbers) != 1:
        raise BadProof("malformed")
    if evidence.message[:-NONCE] != expected or len(evidence.message) != len(expected) + NONCE:
        raise BadProof("another-visit")
    if at > sealed_at:
        raise BadProof("from-the-future")
    root = next((root for root in roots if _issued(authority, root)), None)
    if root is None or not _issued(holder, authority):
        raise BadProof("untrusted")
    if not _signed(key, evidence):
        raise BadProof("signature")
    valid = holder.not_valid_before_utc <= at <= holder.not_valid_after_utc
    if valid != evidence.certificate_valid:
        raise BadProof("validity")
    return Holder(numbers[0], valid, root)


def _load(der: bytes) -> x509.Certificate:
    certificate = x509.load_der_x509_certificate(der)
    _ = certificate.public_key(), certificate.subject, certificate.issuer, certificate.extensions
    _ = certificate.signature_hash_algorithm
    return certificate


def _signed(key: object, evidence: Evidence) -> bool:
    if isinstance(key, rsa.RSAPublicKey) and evidence.scheme == "rsa-pkcs1v15-sha256":
        return _verified(key, evidence.signature, evidence.message, hashes.SHA256())
    on_p384 = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1)
    if on_p384 and evidence.scheme == "ecdsa-p384-sha384":
        return _verified(key, evidence.signature, evidence.message, hashes.SHA384())
    return False


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Directly, by a CA. By hand: `cryptography` refuses certificates signed with SHA-1."""
    if certificate.issuer != issuer.subject or not may_issue(issuer):
        return False
    digest = certificate.signature_hash_algorithm
    if not isinstance(digest, _HASHES):
        return False
    return _verified(issuer.public_key(), certificate.signature, certificate.tbs_certificate_bytes, digest)


def _verified(key: object, signature: bytes, data: bytes, digest: hashes.HashAlgorithm) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(digest))
        else:
            return False
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True
