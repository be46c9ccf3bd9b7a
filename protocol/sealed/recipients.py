"""The competent service's recipient list: to whom a kit seals, and whose receipts it believes."""

import base64
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Meta

from protocol import canonical, identity, signed
from protocol.bad import Bad
from protocol.instant import PATTERN as INSTANT
from protocol.instant import read_instant
from protocol.sealed import agekeys

KIND = "recipients"
LONGEST = 64 * 1024  # bytes
SKEW = timedelta(days=1)  # a kit's clock may be this far behind the service's
LONGEST_LIFE = timedelta(days=30)
FEWEST = 2  # recipients of a list that is not for tests: the present key and the next

_KeyId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]


class BadRecipients(Bad):
    """code: recipients-untrusted, recipients-expired."""


class Recipient(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A key of the service: an age recipient, or base64 of the DER SubjectPublicKeyInfo of a P-256 key for
    CMS; the other one is empty. `kid` goes into the manifest."""

    kid: _KeyId
    age1pq: Annotated[str, Meta(max_length=2048)] = ""
    spki: Annotated[str, Meta(max_length=400)] = ""

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The CMS recipient's key. BadRecipients recipients-untrusted."""
        return _read_spki(self.spki)


class ReceiptKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key the service signs receipts with; `spki` is base64 of its DER SubjectPublicKeyInfo."""

    kid: _KeyId
    spki: Annotated[str, Meta(max_length=400)]


class RecipientList(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`recipients` have keys of the `suite` and of no other. `test`: made for tests, and never for citizens.
    `issued` and `expires` are instants, at most 30 days apart."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    service_id: str
    suite: Literal["age1pq", "cms-p256-gcm"] = "age1pq"
    test: bool = False
    issued: Annotated[str, Meta(pattern=INSTANT)]
    expires: Annotated[str, Meta(pattern=INSTANT)]
    recipients: Annotated[tuple[Recipient, ...], Meta(min_length=1, max_length=8)]
    receipt_keys: Annotated[tuple[ReceiptKey, ...], Meta(min_length=1, max_length=8)]

    def public_receipt_keys(self) -> dict[str, ec.EllipticCurvePublicKey]:
        """Receipt keys by key id, for `verify_receipt`. BadRecipients recipients-untrusted."""
        return {key.kid: _read_spki(key.spki) for key in self.receipt_keys}


def cms_recipient(key: ec.EllipticCurvePublicKey) -> Recipient:
    """A list entry for a P-256 key, under its own key id."""
    entry = receipt_key(key)
    return Recipient(kid=entry.kid, spki=entry.spki)


def receipt_key(key: ec.EllipticCurvePublicKey) -> ReceiptKey:
    """A list entry for `key`, under its own key id."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return ReceiptKey(kid=signed.key_id(key), spki=base64.b64encode(der).decode())


def sign_list(recipients: RecipientList, list_key: ec.EllipticCurvePrivateKey) -> str:
    """The signed list. BadRecipients when a kit would refuse it on the day it is issued."""
    token = signed.sign(
        KIND,
        canonical.dumps(msgspec.to_builtins(recipients)),
        list_key,
        signed.key_id(list_key.public_key()),
    )
    verify_list(token, list_key.public_key(), read_instant(recipients.issued))
    return token


def verify_list(
    token: str, list_key: ec.EllipticCurvePublicKey, at: datetime, newest: datetime | None = None
) -> RecipientList:
    """The list signed by the pinned `list_key`, valid `at`, and issued no earlier than the `newest` list of
    that service seen so far. BadRecipients: recipients-untrusted, recipients-expired."""
    held = read_list(token, list_key)
    check_time(held, at, newest)
    return held


def read_list(token: str, list_key: ec.EllipticCurvePublicKey) -> RecipientList:
    """The list signed by the pinned `list_key`, whenever. BadRecipients recipients-untrusted."""
    try:
        payload = signed.verify(token.strip(), KIND, {signed.key_id(list_key): list_key})
        held = msgspec.convert(canonical.loads(payload, LONGEST), RecipientList)
        read_instant(held.issued), read_instant(held.expires)
    except (ValueError, msgspec.ValidationError) as problem:
        raise BadRecipients("recipients-untrusted", str(problem)[:200]) from problem
    wrong = next((what for what, right in _rules(held, payload) if not right), None)
    if wrong is not None:
        raise BadRecipients("recipients-untrusted", wrong)
    for recipient in held.recipients:
        _check_key(recipient, held.suite)
    held.public_receipt_keys()
    return held


def check_time(held: RecipientList, at: datetime, newest: datetime | None) -> None:
    """As `verify_list`, of a list that `read_list` has read. BadRecipients."""
    issued, expires = read_instant(held.issued), read_instant(held.expires)
    if issued > at + SKEW:
        raise BadRecipients("recipients-untrusted", "issued in the future: one of the clocks is wrong")
    if expires - issued > LONGEST_LIFE:
        raise BadRecipients("recipients-untrusted", "a life of more than 30 days")
    if newest is not None and issued < newest:
        raise BadRecipients("recipients-untrusted", "older than a list seen before")
    if not issued < expires or at >= expires:
        raise BadRecipients("recipients-expired", held.expires)


def _rules(held: RecipientList, payload: bytes) -> list[tuple[str, bool]]:
    """What the types above do not say, by what it is about."""
    return [
        ("a member is missing", canonical.dumps(msgspec.to_builtins(held)) == payload),
        ("service_id", identity.SERVICE_ID.fullmatch(held.service_id) is not None),
        ("a key id twice", _unique([r.kid for r in held.recipients])),
        ("a key id twice", _unique([k.kid for k in held.receipt_keys])),
        ("a list with one recipient that is not for tests", held.test or len(held.recipients) >= FEWEST),
        ("a recipient twice", _unique([r.age1pq + r.spki for r in held.recipients])),
    ]


def _check_key(recipient: Recipient, suite: str) -> None:
    """The recipient has a key of this suite, and no other. BadRecipients."""
    if bool(recipient.age1pq) != (suite == "age1pq") or bool(recipient.spki) != (suite == "cms-p256-gcm"):
        raise BadRecipients("recipients-untrusted", "a recipient with a key of another suite")
    if recipient.spki:
        if recipient.kid != signed.key_id(recipient.public_key()):
            raise BadRecipients("recipients-untrusted", "kid is not that of the key")
        return
    try:
        agekeys.read_recipient(recipient.age1pq)
    except agekeys.BadKey as problem:
        raise BadRecipients("recipients-untrusted", str(problem)) from problem


def _unique(kids: Sequence[str]) -> bool:
    return len(set(kids)) == len(kids)


def _read_spki(text: str) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm) as problem:
        raise BadRecipients("recipients-untrusted", "a key that cannot be read") from problem
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadRecipients("recipients-untrusted", "a key that is not on P-256")
    return key
