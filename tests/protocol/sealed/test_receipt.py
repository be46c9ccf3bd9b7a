import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import canonical, signed
from protocol.ids import new_ulid
from protocol.sealed.receipt import BadReceipt, Receipt, sign_receipt, verify_receipt

KEY = ec.generate_private_key(ec.SECP256R1())
KID = signed.key_id(KEY.public_key())
KEYS = {KID: KEY.public_key()}


def receipt(**changes):
    members = {
        "packet_id": new_ulid(),
        "manifest_sha256": "a" * 64,
        "kit_id": "kit-brugge-01",
        "verdict": "accepted",
        "at": "2026-11-23T12:00:00Z",
    }
    return Receipt(**(members | changes))


def refused(token, keys=KEYS):
    with pytest.raises(BadReceipt) as refusal:
        verify_receipt(token, keys)
    return refusal.value.code


@pytest.mark.parametrize("made", [receipt(), receipt(verdict="rejected", code="photo-quality")])
def test_a_receipt_of_the_service_is_believed(made):
    assert verify_receipt(sign_receipt(made, KEY), KEYS) == made


def test_a_receipt_of_somebody_else_is_untrusted():
    token = sign_receipt(receipt(), KEY)
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert refused(token, {}) == "receipt-untrusted"
    assert refused(token, {KID: other}) == "receipt-untrusted"
    assert refused(signed.sign("bag", b"{}", KEY, KID)) == "receipt-untrusted"
    assert refused("") == "receipt-untrusted"


@pytest.mark.parametrize(
    "made",
    [
        receipt(v=2),
        receipt(packet_id="x"),
        receipt(manifest_sha256="A" * 64),
        receipt(kit_id="brugge"),
        receipt(verdict="maybe"),
        receipt(verdict="rejected"),
        receipt(code="photo-quality"),
        receipt(verdict="rejected", code="Photo quality"),
        receipt(at="noon"),
        receipt(at="2026-11-31T12:00:00Z"),
    ],
)
def test_a_receipt_that_breaks_a_rule_is_neither_written_nor_believed(made):
    with pytest.raises(BadReceipt):
        sign_receipt(made, KEY)
    token = signed.sign("receipt", canonical.dumps(msgspec.to_builtins(made)), KEY, KID)
    assert refused(token) == "receipt-malformed"


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"{ }", b"x" * 5000])
def test_something_else_than_a_receipt_is_malformed(payload):
    assert refused(signed.sign("receipt", payload, KEY, KID)) == "receipt-malformed"
