"""An officer's signature with a security key: a WebAuthn assertion whose challenge is the manifest's hash.

W3C Web Authentication Level 2, sections 6.1 and 7.2, cut down to what a kiosk on the kit itself asks for: one
relying party, one algorithm (ES256), no extensions, a key that never leaves its authenticator. That it lives
in one is said by its certificate, whose role is `officer-key`; nothing else tells such a signature from one
made in software.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable
from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.chain import BadChain, check_chain, load_certificate
from protocol.identity import BadIdentity, Role, check_use, role_of
from protocol.signed import BadSignature

RP_ID = "localhost"  # the kiosk's browser runs on the kit; WebAuthn takes names only, no addresses
LONGEST = 8192  # characters of any one member
_ORIGIN = re.compile(r"http://localhost(:[0-9]{1,5})?")
_AUTHENTICATOR_DATA = 37  # bytes without attested key and extensions: hash of the rp id, flags, counter
_PRESENT_AND_VERIFIED = 0x01 | 0x04  # UP and UV; no backup (BE, BS), no attested key (AT), no extensions (ED)


class Assertion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `navigator.credentials.get` gave, each in base64url; `x5c` as in a JWS: leaf first, base64 DER."""

    authenticator_data: str
    client_data: str
    signature: str
    x5c: list[str]

    def __repr__(self) -> str:
        return "Assertion(...)"


def verify_assertion(
    assertion: Assertion, challenge: bytes, roots: Iterable[x509.Certificate], at: datetime
) -> x509.Certificate:
    """The certificate of the key that answered `challenge`, its holder present and verified.

    BadSignature: signature for anything about the assertion itself, certificate-* and unknown-role as for
    other signatures, malformed."""
    authenticator_data, client_data, signature = (
        decode(text) for text in (assertion.authenticator_data, assertion.client_data, assertion.signature)
    )
    leaf = _leaf(assertion.x5c, roots, at)
    read_client(client_data, "webauthn.get", challenge)
    _check_authenticator(authenticator_data)
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)  # check_use says so
    answered = authenticator_data + hashlib.sha256(client_data).digest()
    try:
        key.verify(signature, answered, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as problem:
        raise BadSignature("signature", "does not verify") from problem
    return leaf


def _leaf(x5c: list[str], roots: Iterable[x509.Certificate], at: datetime) -> x509.Certificate:
    try:
        chain = [load_certificate(base64.b64decode(text, validate=True)) for text in x5c]
    except ValueError as problem:
        raise BadSignature("malformed", "x5c holds something that is no certificate") from problem
    try:
        check_chain(chain, roots, at)
        leaf = chain[0]
        role, _ = role_of(leaf)
        if role is not Role.OFFICER_KEY:
            raise BadSignature("certificate-role", f"{role} where {Role.OFFICER_KEY} is expected")
        check_use(leaf, role)
    except (BadChain, BadIdentity) as problem:
        raise BadSignature(problem.code, problem.detail) from problem
    return leaf


def read_client(client_data: bytes, kind: str, challenge: bytes) -> None:
    """The browser's own words. It may add members (section 5.8.1): only those that matter are looked at.

    BadSignature unless they are about this challenge, on the kiosk's own page."""
    try:
        said = json.loads(client_data.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as problem:
        raise BadSignature("signature", "client data that is no JSON") from problem
    if not isinstance(said, dict) or said.get("type") != kind:
        raise BadSignature("signature", f"no {kind}")
    if said.get("challenge") != _encode(challenge):
        raise BadSignature("signature", "the answer to another challenge")
    origin = said.get("origin")
    if not isinstance(origin, str) or _ORIGIN.fullmatch(origin) is None or said.get("crossOrigin", False):
        raise BadSignature("signature", "given on another page")


def _check_authenticator(data: bytes) -> None:
    if len(data) != _AUTHENTICATOR_DATA:
        raise BadSignature("signature", "authenticator data of another length")
    if data[:32] != hashlib.sha256(RP_ID.encode()).digest():
        raise BadSignature("signature", "for another relying party")
    if data[32] != _PRESENT_AND_VERIFIED:
        raise BadSignature("signature", "the holder was not verified, or the key can be copied")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice")
    return members


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str, longest: int = LONGEST) -> bytes:
    """Canonical base64url. BadSignature malformed."""
    if len(text) > longest:
        raise BadSignature("malformed", "too long")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as problem:
        raise BadSignature("malformed", "not base64url") from problem
    if _encode(data) != text:
        raise BadSignature("malformed", "not canonical base64url")
    return data
