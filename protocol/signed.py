"""Signed documents: compact JWS (RFC 7515), one algorithm (ES256), exactly the header members we know.

Small on purpose: a verifier names the kind it expects, and either holds the keys by id or pins the roots of
the certificates that come along. Nothing in a header chooses an algorithm or a place to fetch a key from.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from protocol import canonical
from protocol.bad import Bad
from protocol.chain import LONGEST as LONGEST_CHAIN
from protocol.chain import BadChain, check_chain, load_certificate
from protocol.identity import BadIdentity, Role, check_use, role_of
from protocol.ids import is_key_id

ALGORITHM = "ES256"
SIGNATURE = 86  # characters: two numbers of 32 bytes in base64url
LONGEST = 1024 * 1024  # characters of a whole token
LONGEST_HEADER = 32 * 1024  # characters, three certificates included
_KIND = re.compile(r"[a-z][a-z-]{0,39}")
_HASH = ec.ECDSA(hashes.SHA256())
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class BadSignature(Bad):
    """Not a signed document of the expected kind by someone trusted.

    code: malformed, header, kind, unknown-key, signature, certificate-untrusted, certificate-expired,
    certificate-subject, unknown-role, certificate-role, certificate-usage.
    detail: for a log; holds no personal data."""


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: str
    typ: str
    kid: str
    x5c: list[str] | None = None


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """The `kid` of a key: base64url of the SHA-256 of its SubjectPublicKeyInfo, 43 characters."""
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _encode(hashlib.sha256(spki).digest())


def sign(
    kind: str,
    payload: bytes,
    key: ec.EllipticCurvePrivateKey,
    kid: str,
    chain: Sequence[x509.Certificate] = (),
) -> str:
    """A compact JWS over `payload`, `typ` thuisloket/`kind`, with `chain` (leaf first) as x5c if any.

    With a chain `kid` is the `key_id` of its leaf. ValueError when kind, kid, key or chain do not fit."""
    header = header_of(kind, key, kid, chain)
    return f"{header}.{_encode(payload)}.{signature_under(header, payload, key)}"


def sign_detached(
    kind: str,
    payload: bytes,
    key: ec.EllipticCurvePrivateKey,
    kid: str,
    chain: Sequence[x509.Certificate] = (),
) -> str:
    """As `sign`, with the payload left out of the token (RFC 7515 appendix F)."""
    return sign_under(header_of(kind, key, kid, chain), payload, key)


def header_of(
    kind: str, key: ec.EllipticCurvePrivateKey, kid: str, chain: Sequence[x509.Certificate] = ()
) -> str:
    """The first part of every token that `key` signs as `kind`. ValueError as `sign`."""
    if not _KIND.fullmatch(kind) or not is_key_id(kid) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("kind, key id or curve does not fit a signed document")
    members: dict[str, object] = {"alg": ALGORITHM, "typ": f"thuisloket/{kind}", "kid": kid}
    if chain:
        if chain[0].public_key() != key.public_key() or kid != key_id(key.public_key()):
            raise ValueError("the chain is not that of the key")
        members["x5c"] = [
            base64.b64encode(cert.public_bytes(serialization.Encoding.DER)).decode() for cert in chain
        ]
    return _encode(canonical.dumps(members))


def sign_under(header: str, payload: bytes, key: ec.EllipticCurvePrivateKey) -> str:
    """A detached token with a header of this key's: its length and SIGNATURE and two characters."""
    return f"{header}..{signature_under(header, payload, key)}"


def signature_under(header: str, payload: bytes, key: ec.EllipticCurvePrivateKey) -> str:
    """The last part of such a token."""
    r, s = decode_dss_signature(key.sign(f"{header}.{_body(payload)}".encode(), _HASH))
    return _encode(r.to_bytes(32) + s.to_bytes(32))


def verify(token: str, kind: str, keys: Mapping[str, ec.EllipticCurvePublicKey]) -> bytes:
    """The payload of a document signed with one of `keys`. BadSignature when it is anything else."""
    head, body, signature = _split(token)
    header = _read_header(head, kind)
    if header.x5c is not None:
        raise BadSignature("header", "x5c where a pinned key is expected")
    key = keys.get(header.kid)
    if key is None:
        raise BadSignature("unknown-key", header.kid)
    _check(key, f"{head}.{body}", signature)
    return _decode(body)


def verify_chain(
    token: str, kind: str, roots: Iterable[x509.Certificate], role: Role, at: datetime
) -> tuple[bytes, x509.Certificate]:
    """Payload and leaf certificate of a document whose x5c leads to one of `roots`, held in `role`, `at`."""
    head, body, signature = _split(token)
    leaf = _check_chained(head, body, signature, kind, roots, role, at)
    return _decode(body), leaf


def leaf_of(token: str, kind: str) -> x509.Certificate:
    """The certificate a document claims to be signed with; nothing is checked of either. BadSignature."""
    return chain_of(token, kind)[0]


def chain_of(token: str, kind: str) -> list[x509.Certificate]:
    """The certificates a document carries, leaf first; nothing is checked of them. BadSignature."""
    return _read_chain(_read_header(_split(token)[0], kind).x5c or [])


def verify_detached_chain(
    token: str, kind: str, payload: bytes, roots: Iterable[x509.Certificate], role: Role, at: datetime
) -> x509.Certificate:
    """As `verify_chain`, for a token without its payload; the leaf certificate."""
    head, body, signature = _split(token)
    if body:
        raise BadSignature("malformed", "a payload in a detached signature")
    return _check_chained(head, _encode(payload), signature, kind, roots, role, at)


def _split(token: str) -> tuple[str, str, str]:
    if len(token) > LONGEST or not token.isascii():
        raise BadSignature("malformed", "too long or not ASCII")
    parts = token.split(".")
    if len(parts) != 3:
        raise BadSignature("malformed", "not three parts")
    return parts[0], parts[1], parts[2]


def _read_header(head: str, kind: str) -> _Header:
    if len(head) > LONGEST_HEADER:
        raise BadSignature("header", "too long")
    try:
        members = json.loads(_decode(head).decode(), object_pairs_hook=_once)
        header = msgspec.convert(members, _Header, strict=True)
    except (ValueError, RecursionError, msgspec.ValidationError) as problem:
        if isinstance(problem, BadSignature):
            raise
        raise BadSignature("header", "not the members alg, typ, kid, x5c") from problem
    if header.alg != ALGORITHM:
        raise BadSignature("header", "another algorithm")
    if header.typ != f"thuisloket/{kind}":
        raise BadSignature("kind", f"not a {kind}")
    if not is_key_id(header.kid):
        raise BadSignature("header", "kid")
    return header


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadSignature("header", "a member twice")
    return members


def _check_chained(
    head: str,
    body: str,
    signature: str,
    kind: str,
    roots: Iterable[x509.Certificate],
    role: Role,
    at: datetime,
) -> x509.Certificate:
    header = _read_header(head, kind)
    chain = _read_chain(header.x5c or [])
    leaf = chain[0]
    try:
        check_chain(chain, roots, at)
        found, _ = role_of(leaf)
        if found is not role:
            raise BadSignature("certificate-role", f"{found} where {role} is expected")
        check_use(leaf, role)
    except (BadChain, BadIdentity) as problem:
        raise BadSignature(problem.code, problem.detail) from problem
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)  # check_use says so
    if header.kid != key_id(key):
        raise BadSignature("header", "kid is not that of the leaf")
    _check(key, f"{head}.{body}", signature)
    return leaf


def _read_chain(texts: list[str]) -> list[x509.Certificate]:
    if not 1 <= len(texts) <= LONGEST_CHAIN:
        raise BadSignature("header", "x5c is missing or too long")
    try:
        # RFC 7515 section 4.1.6: standard base64 with padding, not base64url
        return [load_certificate(base64.b64decode(text, validate=True)) for text in texts]
    except ValueError as problem:
        raise BadSignature("header", "x5c holds something that is no certificate") from problem


def _check(key: ec.EllipticCurvePublicKey, signed: str, signature: str) -> None:
    raw = _decode(signature)
    if len(raw) != 64:
        raise BadSignature("signature", "not 64 bytes")
    try:
        der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        key.verify(der, signed.encode(), _HASH)
    except (InvalidSignature, ValueError) as problem:
        raise BadSignature("signature", "does not verify") from problem


@lru_cache(maxsize=1)  # a manifest is signed twice, one right after the other
def _body(payload: bytes) -> str:
    return _encode(payload)


def _encode(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_URL_SAFE).decode()


def _decode(text: str) -> bytes:
    """base64url without padding; BadSignature for any other spelling of the same bytes."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as problem:
        raise BadSignature("malformed", "not base64url") from problem
    if _encode(data) != text:
        raise BadSignature("malformed", "not canonical base64url")
    return data
