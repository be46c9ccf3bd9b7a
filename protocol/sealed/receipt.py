"""The competent service's signed answer to one sealed application; all that lets a kit delete it.

An answer may ask for parts to be taken anew: then the service keeps what it has and waits for a supplement.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Meta

from protocol import canonical, identity, recapture, signed
from protocol.bad import Bad
from protocol.ids import is_ulid
from protocol.instant import PATTERN as INSTANT
from protocol.instant import read_instant

KIND = "receipt"
LONGEST = 4096  # bytes of payload
Verdict = Literal["accepted", "rejected", "recapture"]


class BadReceipt(Bad):
    """Not a receipt signed by the service. code: receipt-untrusted, receipt-malformed."""


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`code` is empty for an accepted application and says why for any other. `parts` and `until` (the
    instant before which they must be sealed) are there when parts are asked for anew, and only then."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    packet_id: str
    manifest_sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    kit_id: str
    verdict: Verdict
    code: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9-]{0,39})?\Z")] = ""
    at: Annotated[str, Meta(pattern=INSTANT)]
    parts: recapture.AskedParts | msgspec.UnsetType = msgspec.UNSET
    until: Annotated[str, Meta(pattern=INSTANT)] | msgspec.UnsetType = msgspec.UNSET

    @property
    def asked(self) -> recapture.Asked | None:
        """What is asked for anew, if anything."""
        if self.parts is msgspec.UNSET or self.until is msgspec.UNSET:
            return None
        return recapture.Asked(packet_id=self.packet_id, parts=self.parts, code=self.code, until=self.until)


def sign_receipt(receipt: Receipt, key: ec.EllipticCurvePrivateKey) -> str:
    """The signed receipt, under the key id of `key`. BadReceipt when it breaks its own rules."""
    kid = signed.key_id(key.public_key())
    token = signed.sign(KIND, canonical.dumps(msgspec.to_builtins(receipt)), key, kid)
    verify_receipt(token, {kid: key.public_key()})
    return token


def verify_receipt(token: str, keys: Mapping[str, ec.EllipticCurvePublicKey]) -> Receipt:
    """The receipt in `token`, signed with one of the receipt `keys` of the recipient list. BadReceipt."""
    try:
        payload = signed.verify(token, KIND, keys)
    except signed.BadSignature as problem:
        raise BadReceipt("receipt-untrusted", str(problem)) from problem
    try:
        receipt = msgspec.convert(canonical.loads(payload, LONGEST), Receipt)
        read_instant(receipt.at)
    except (ValueError, msgspec.ValidationError) as problem:
        raise BadReceipt("receipt-malformed", str(problem)[:200]) from problem
    if not is_ulid(receipt.packet_id) or not identity.KIT_ID.fullmatch(receipt.kit_id):
        raise BadReceipt("receipt-malformed", "packet_id or kit_id")
    if (receipt.verdict == "accepted") != (receipt.code == ""):
        raise BadReceipt("receipt-malformed", "a code goes with what is not accepted, and only with that")
    _check_asked(receipt)
    return receipt


def _check_asked(receipt: Receipt) -> None:
    members = {receipt.parts is not msgspec.UNSET, receipt.until is not msgspec.UNSET}
    if members != {receipt.verdict == "recapture"}:
        raise BadReceipt("receipt-malformed", "parts and until go with a recapture, and only with one")
    asked = receipt.asked
    if asked is None:
        return
    try:
        lawful = recapture.in_order(asked.parts) and read_instant(asked.until) > read_instant(receipt.at)
    except ValueError:
        lawful = False
    if not lawful:
        raise BadReceipt("receipt-malformed", "parts or until")
