"""A kit's certificate asked for anew (docs/protocol.md 14): signed with the key that is to be replaced.

Whoever carries the request (the uplink, the fleet) can neither make one nor turn it to another key: the
authority itself reads the signature, and the proof that the new key is there.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal, TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Meta

from protocol import canonical, signed
from protocol.bad import Bad
from protocol.identity import KIT_ID, Role, role_of, serial_of, subject

ASKED, DONE = "renewal", "renewal-done"
LONGEST = 16 * 1024  # characters of a request
DRAWER = timedelta(days=180)  # so long after its end a certificate may still ask for its successor
ROLES: dict[str, Role] = {"kit-tls": Role.KIT_TLS, "kit-sign": Role.KIT_SIGN}
RoleName = Literal["kit-tls", "kit-sign"]

_Kit = Annotated[str, Meta(pattern=rf"^({KIT_ID.pattern})\Z")]
_T = TypeVar("_T", bound="_Document")


class BadRenewal(Bad):
    """code: renewal-malformed, renewal-untrusted, renewal-too-old, renewal-key (the new key does not do)."""


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    v: Annotated[int, Meta(ge=1, le=1)] = 1
    kit_id: _Kit
    role: RoleName


class _Asked(_Document, frozen=True, kw_only=True):
    csr: Annotated[str, Meta(max_length=2048)]


class _Done(_Document, frozen=True, kw_only=True):
    serial: Annotated[str, Meta(pattern=r"^[1-9a-f][0-9a-f]{0,39}\Z")]


@dataclass(frozen=True)
class Asked:
    """The holder of `old` asks, for `key`."""

    kit_id: str
    role: RoleName
    key: ec.EllipticCurvePublicKey
    old: x509.Certificate

    @property
    def kid(self) -> str:
        return signed.key_id(self.key)


def sign_asked(
    role: RoleName,
    new: ec.EllipticCurvePrivateKey,
    old: ec.EllipticCurvePrivateKey,
    chain: Sequence[x509.Certificate],
) -> str:
    """Compact JWS by the `old` key with its chain (leaf first), asking for a certificate for `new`."""
    _, kit_id = role_of(chain[0])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject(ROLES[role], kit_id))
        .sign(new, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    asked = _Asked(kit_id=kit_id, role=role, csr=base64.b64encode(request).decode())
    payload = canonical.dumps(msgspec.to_builtins(asked))
    return signed.sign(ASKED, payload, old, signed.key_id(old.public_key()), chain)


def verify_asked(token: str, roots: Iterable[x509.Certificate], now: datetime) -> Asked:
    """Who asks for what. An expired certificate may ask for as long as DRAWER. Nothing is known here of
    revocation. BadRenewal."""
    asked, old = _open(token, ASKED, _Asked, roots, now)
    try:
        request = x509.load_der_x509_csr(base64.b64decode(asked.csr, validate=True))
        key, fits = request.public_key(), request.is_signature_valid
        named = request.subject == subject(ROLES[asked.role], asked.kit_id)
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm) as problem:
        raise BadRenewal("renewal-malformed", "csr") from problem
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadRenewal("renewal-key", "not on P-256")
    if not fits or not named:
        raise BadRenewal("renewal-key", "not signed by the new key, or another name")
    return Asked(asked.kit_id, asked.role, key, old)


def sign_done(role: RoleName, key: ec.EllipticCurvePrivateKey, chain: Sequence[x509.Certificate]) -> str:
    """Compact JWS by the new key with its new chain: from now on this certificate is in use."""
    _, kit_id = role_of(chain[0])
    done = _Done(kit_id=kit_id, role=role, serial=serial_of(chain[0]))
    payload = canonical.dumps(msgspec.to_builtins(done))
    return signed.sign(DONE, payload, key, signed.key_id(key.public_key()), chain)


def verify_done(token: str, roots: Iterable[x509.Certificate], now: datetime) -> x509.Certificate:
    """The certificate that is in use from now on. BadRenewal."""
    done, leaf = _open(token, DONE, _Done, roots, now)
    if done.serial != serial_of(leaf):
        raise BadRenewal("renewal-malformed", "another serial")
    return leaf


def check_granted(
    chain: Sequence[x509.Certificate], role: RoleName, kit_id: str, key: ec.EllipticCurvePublicKey
) -> None:
    """BadRenewal renewal-untrusted unless the leaf is for this kit, role and key. The chain to a root is the
    caller's to check, at an instant that it believes in."""
    try:
        fits = role_of(chain[0]) == (ROLES[role], kit_id) and chain[0].public_key() == key
    except (ValueError, IndexError) as problem:
        raise BadRenewal("renewal-untrusted", "not a certificate of ours") from problem
    if not fits:
        raise BadRenewal("renewal-untrusted", "for another kit, role or key")


def due(certificate: x509.Certificate) -> datetime:
    """When it is time to ask: two thirds of its life, and up to a tenth more by its serial, so that kits that
    were issued on one day do not come back on one."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    share = int.from_bytes(hashlib.sha256(serial_of(certificate).encode()).digest()[:4]) / 2**32
    return begins + (ends - begins) * (2 / 3 + share / 10)


def _open(
    token: str, kind: str, shape: type[_T], roots: Iterable[x509.Certificate], now: datetime
) -> tuple[_T, x509.Certificate]:
    """The document, and the certificate of its own role and kit that signed it."""
    if len(token) > LONGEST:
        raise BadRenewal("renewal-malformed", "too long")
    try:
        claimed = signed.leaf_of(token, kind)
        if now > claimed.not_valid_after_utc + DRAWER:
            raise BadRenewal("renewal-too-old", f"ended {claimed.not_valid_after_utc:%Y-%m-%d}")
        role, kit_id = role_of(claimed)
        at = min(now, claimed.not_valid_after_utc)
        payload, leaf = signed.verify_chain(token, kind, roots, role, at)
        document = msgspec.convert(canonical.loads(payload, LONGEST), shape)
    except signed.BadSignature as problem:
        raise BadRenewal("renewal-untrusted", str(problem)[:200]) from problem
    except (ValueError, msgspec.ValidationError) as problem:
        if isinstance(problem, BadRenewal):
            raise
        raise BadRenewal("renewal-malformed", str(problem)[:200]) from problem
    if (ROLES[document.role], document.kit_id) != (role, kit_id):
        raise BadRenewal("renewal-untrusted", "signed by another kit, or in another role")
    return document, leaf
