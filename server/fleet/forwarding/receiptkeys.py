"""Whose receipts count, the keys that the service's signed recipient list names, and of what they are."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from protocol.sealed.receipt import BadReceipt, Receipt, verify_receipt
from protocol.sealed.recipients import LONGEST, BadRecipients, verify_list
from server.db.tables import Application


class ReceiptKeysUnknown(Exception):
    """The recipient list cannot be read or is not to be trusted now; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def receipt_keys(recipients: Path, list_key: Path, now: datetime) -> dict[str, ec.EllipticCurvePublicKey]:
    """Keys by id. `recipients`: the list (JWS); `list_key`: PEM, what signed it. ReceiptKeysUnknown."""
    try:
        if recipients.stat().st_size > LONGEST:
            raise ReceiptKeysUnknown("recipients-untrusted")
        token = recipients.read_text("ascii")
        key = load_pem_public_key(list_key.read_bytes())
    except (OSError, ValueError) as problem:
        raise ReceiptKeysUnknown("recipients-unreadable") from problem
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ReceiptKeysUnknown("list-key-unreadable")
    try:
        return verify_list(token, key, now).public_receipt_keys()
    except BadRecipients as problem:
        raise ReceiptKeysUnknown(problem.code) from problem


def receipt_of(
    application: Application, token: str, keys: Mapping[str, ec.EllipticCurvePublicKey]
) -> Receipt:
    """The receipt in `token`, signed with one of `keys` and about this very packet. BadReceipt."""
    receipt = verify_receipt(token, keys)
    about = (receipt.packet_id, receipt.manifest_sha256, receipt.kit_id)
    if about != (application.packet_id, application.manifest_sha256, application.kit_id):
        raise BadReceipt("receipt-of-another")
    return receipt
