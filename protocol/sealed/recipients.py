"""The competent service's recipient list: to whom a kit seals, and whose receipts it believes."""

import base64
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Meta

from protocol import canonical, identity, signed
from protocol.instant import PATTERN as INSTANT
from protocol.instant import read_instant
from protocol.sealed import agekeys

KIND = "recipients"
LONGEST = 64 * 1024  # bytes
SKEW = timedelta(days=1)  # a kit's clock may be this far behind the service's

_KeyId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]


class BadRecipients(ValueError):
    """code: recipients-untrusted, recipients-expired."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Recipient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An age recipient of the service. `kid` goes into the manifest."""

    kid: _KeyId
    age1pq: Annotated[str, Meta(max_length=2048)]


class ReceiptKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key the service signs receipts with; `spki` is base64 of its DER SubjectPublicKeyInfo."""

    kid: _KeyId
    spki: Annotated[str, Meta(max_length=400)]


class RecipientList(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Two recipients are usual: the present key and the next. `issued` and `expires` are instants."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    service_id: str
    issued: Annotated[str, Meta(pattern=INSTANT)]
    expires: Annotated[str, Meta(pattern=INSTANT)]
    recipients: Annotated[tuple[Recipient, ...], Meta(min_length=1, max_length=8)]
    receipt_keys: Annotated[tuple[ReceiptKey, ...], Meta(min_length=1, max_length=8)]

    def public_receipt_keys(self) -> dict[str, ec.EllipticCurvePublicKey]:
        """Receipt keys by key id, for `verify_receipt`. BadRecipients recipients-untrusted."""
        return {key.kid: _read_spki(key.spki) for key in self.receipt_keys}


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


def verify_list(token: str, list_key: ec.EllipticCurvePublicKey, at: datetime) -> RecipientList:
    """The list signed by the pinned `list_key`, valid `at`. BadRecipients: recipients-untrusted, -expired."""
    try:
        payload = signed.verify(token.strip(), KIND, {signed.key_id(list_key): list_key})
        held = msgspec.convert(canonical.loads(payload, LONGEST), RecipientList)
        issued, expires = read_instant(held.issued), read_instant(held.expires)
        for recipient in held.recipients:
            agekeys.read_recipient(recipient.age1pq)
    except (ValueError, msgspec.ValidationError) as problem:
        raise BadRecipients("recipients-untrusted", str(problem)[:200]) from problem
    held.public_receipt_keys()
    if not identity.SERVICE_ID.fullmatch(held.service_id):
        raise BadRecipients("recipients-untrusted", "service_id")
    if not _unique([r.kid for r in held.recipients]) or not _unique([k.kid for k in held.receipt_keys]):
        raise BadRecipients("recipients-untrusted", "a key id twice")
    if issued > at + SKEW:
        raise BadRecipients("recipients-untrusted", "issued in the future: one of the clocks is wrong")
    if not issued < expires or at >= expires:
        raise BadRecipients("recipients-expired", held.expires)
    return held


def _unique(kids: Sequence[str]) -> bool:
    return len(set(kids)) == len(kids)


def _read_spki(text: str) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm) as problem:
        raise BadRecipients("recipients-untrusted", "a receipt key that cannot be read") from problem
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadRecipients("recipients-untrusted", "a receipt key that is not on P-256")
    return key
