"""What is asked again: the literal bytes of tests/vectors/recapture, and whatever is no such question."""

from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hypothesis import given
from hypothesis import strategies as st

from protocol import canonical, recapture, signed
from protocol.bag import BadBag, open_bag, seal_bag
from protocol.catalogue import BadCatalogue, Entry, narrowed, shipped
from protocol.recapture import Asked
from protocol.sealed import age
from protocol.sealed.manifest import Manifest, decode, encode
from protocol.sealed.packet import open_packet
from protocol.sealed.receipt import BadReceipt, Receipt, sign_receipt, verify_receipt
from protocol.sealed.refusal import BadPacket
from tests.protocol.sealed.application import PARTS, build_world
from tests.protocol.test_bag import COMMAND, IDENTITY, KEYS, RECIPIENT, bag, refused, visit

FOLDER = Path(__file__).parents[1] / "vectors" / "recapture"
AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
WHOLE, SUPPLEMENT = "01KCEXAMP1E000000000000001", "01KCEXAMP1E000000000000005"
MANIFEST_SHA256 = "8d32baaa696a4fdcf67c241789c59031aea951cb11e85347d27ac74c9cc9b86a"
RECEIPT = (
    '{"at":"2026-11-23T10:00:00Z","code":"photo-blurred","kit_id":"kit-vector-01","manifest_sha256":"'
    + "a" * 64
    + '","packet_id":"01KCEXAMP1E000000000000001","parts":["photo"],"until":"2026-12-07T10:00:00Z","v":1,'
    '"verdict":"recapture"}'
)
SHORT = {
    "code": "photo-blurred",
    "packet_id": WHOLE,
    "parts": ["photo"],
    "until": "2026-12-07T10:00:00Z",
}


def key(name: str) -> dict[str, ec.EllipticCurvePublicKey]:
    public = load_pem_public_key((FOLDER / name).read_bytes())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    return {signed.key_id(public): public}


def test_the_receipt_asks_for_the_photo_again():
    token = (FOLDER / "recapture.jws").read_text()
    assert signed.verify(token, "receipt", key("receipt-key.pem")).decode() == RECEIPT
    asked = verify_receipt(token, key("receipt-key.pem")).asked
    assert asked == msgspec.convert(SHORT, Asked)


def test_the_day_bag_carries_the_question():
    identity = (FOLDER / "bag.age").read_text().strip()
    held = open_bag((FOLDER / "short.bag").read_bytes(), identity, key("command-key.pem")).bag
    assert msgspec.to_builtins(held.visits[0].supplements) == SHORT | {"parts": ("photo",)}


def test_the_supplement_opens_and_names_its_application():
    root = x509.load_pem_x509_certificate((FOLDER / "root.pem").read_bytes())
    data = (FOLDER / "supplement.packet").read_bytes()
    opened = open_packet(data, [(FOLDER / "service.age").read_text().strip()], [root], [root], AT)
    assert opened.outer.manifest_sha256 == MANIFEST_SHA256
    assert opened.outer.manifest.packet_id == SUPPLEMENT
    assert b'"supplements":{"packet_id":"' + WHOLE.encode() + b'","parts":["photo"]}' in data
    assert [part.name for part in opened.parts] == ["identity.json", "photo.jpg", "application.json"]


LAWFUL = [
    list(some) for n in (1, 2, 3) for some in permutations(recapture.PARTS, n) if recapture.in_order(some)
]
WORDS = st.lists(st.sampled_from([*recapture.PARTS, "card", "finger", "Photo", ""]), max_size=5)
WORLD = build_world()


def manifest_with(about: object) -> Manifest:
    packet = WORLD.packet(PARTS[:2])
    members = msgspec.to_builtins(packet.manifest) | {"supplements": about}
    return decode(canonical.dumps(members))


@given(WORDS)
def test_parts_are_some_of_three_in_their_order_none_twice_and_nothing_else(parts):
    made = receipt({"parts": parts})
    if parts in LAWFUL:
        assert list(verify_receipt(made, RECEIPT_KEYS).parts) == parts
    else:
        with pytest.raises(BadReceipt, match="receipt-malformed"):
            verify_receipt(made, RECEIPT_KEYS)
    about = {"packet_id": WHOLE, "parts": parts}
    if parts in LAWFUL and "photo" in parts:  # hands and a signature may have their lawful exceptions
        assert list(manifest_with(about).supplements.parts) == parts
    else:  # the packet brings a photo
        with pytest.raises(BadPacket, match="manifest-malformed"):
            manifest_with(about)
    short = signed.sign("bag", bag_with(SHORT | {"parts": parts}), COMMAND, "command-1")
    payload = signed.verify(short, "bag", KEYS)
    assert bag_is_read(payload) == (parts in LAWFUL)


RECEIPT_KEY = ec.generate_private_key(ec.SECP256R1())
RECEIPT_KEYS = {signed.key_id(RECEIPT_KEY.public_key()): RECEIPT_KEY.public_key()}
MEMBERS = canonical.loads(RECEIPT.encode())


def receipt(changes: dict[str, object], *without: str) -> str:
    members = {name: value for name, value in (MEMBERS | changes).items() if name not in without}
    return signed.sign("receipt", canonical.dumps(members), RECEIPT_KEY, next(iter(RECEIPT_KEYS)))


def bag_with(about: object) -> bytes:
    held = msgspec.to_builtins(bag(visit()))
    return canonical.dumps(held | {"visits": [held["visits"][0] | {"supplements": about}]})


def bag_is_read(payload: bytes) -> bool:
    token = signed.sign("bag", payload, COMMAND, "command-1")
    try:
        return not open_bag(age.encrypt(token.encode(), [RECIPIENT]), IDENTITY, KEYS).aside
    except BadBag:
        return False


@pytest.mark.parametrize(
    ("changes", "without"),
    [
        ({}, ["parts"]),
        ({}, ["until"]),
        ({}, ["parts", "until"]),
        ({"code": ""}, []),
        ({"verdict": "rejected"}, []),
        ({"verdict": "accepted", "code": ""}, []),
        ({"verdict": "recaptured"}, []),
        ({"parts": "photo"}, []),
        ({"parts": []}, []),
        ({"until": "2026-11-23T10:00:00Z"}, []),  # when it was asked
        ({"until": "2026-11-22T10:00:00Z"}, []),
        ({"until": "2026-12-32T10:00:00Z"}, []),
        ({"until": "2026-12-07"}, []),
        ({"part": ["photo"]}, []),
    ],
)
def test_a_receipt_that_asks_wrongly_is_no_receipt(changes, without):
    with pytest.raises(BadReceipt, match="receipt-malformed"):
        verify_receipt(receipt(changes, *without), RECEIPT_KEYS)


def test_a_receipt_that_asks_wrongly_is_not_signed_either():
    made = Receipt(
        packet_id=WHOLE,
        manifest_sha256="a" * 64,
        kit_id="kit-brugge-01",
        verdict="recapture",
        code="x",
        at=AT_TEXT,
    )
    with pytest.raises(BadReceipt, match="parts and until"):
        sign_receipt(made, RECEIPT_KEY)


AT_TEXT = "2026-11-23T10:00:00Z"


@pytest.mark.parametrize(
    "about",
    [
        None,
        {},
        {"packet_id": WHOLE},
        {"packet_id": "x", "parts": ["photo"]},
        {"packet_id": WHOLE, "parts": ["photo"], "code": "why"},
        {"packet_id": WHOLE, "parts": ["signature"]},
        {"packet_id": WHOLE, "parts": ["photo", "photo"]},
    ],
)
def test_a_manifest_that_supplements_wrongly_is_malformed(about):
    with pytest.raises((BadPacket, canonical.NotCanonical)):
        manifest_with(about)


def test_a_packet_does_not_supplement_itself():
    packet = WORLD.packet(PARTS[:2])
    members = msgspec.to_builtins(packet.manifest)
    members["supplements"] = {"packet_id": packet.manifest.packet_id, "parts": ["photo"]}
    with pytest.raises(BadPacket, match="supplements"):
        decode(canonical.dumps(members))


@pytest.mark.parametrize(
    ("names", "parts", "fit"),
    [
        (["identity.json", "photo.jpg", "application.json"], ("photo",), True),
        (["card-photo.jpg", "photo.jpg"], ("photo",), True),
        (["identity.json"], ("photo",), False),
        (["photo.jpg", "finger-left-index.png"], ("photo",), False),
        (["finger-left-index.png", "finger-right-thumb.png"], ("fingers",), True),
        (["identity.json"], ("fingers",), True),  # a lawful exception for both hands
        (["signature.svg", "signature.png"], ("signature",), True),
        (["photo.jpg", "signature.svg"], ("photo", "signature"), True),
        (["signature.svg"], ("photo", "signature"), False),
    ],
)
def test_a_supplement_brings_what_was_asked_and_no_other_capture(names, parts, fit):
    assert recapture.fits(names, parts) is fit


@pytest.mark.parametrize(
    "changes",
    [
        {"until": "2026-12-32T10:00:00Z"},
        {"until": ""},
        {"code": ""},
        {"code": "Why not"},
        {"packet_id": "1"},
        {"parts": None},
        {"whom": "x"},
    ],
)
def test_a_bag_that_asks_wrongly_is_refused(changes):
    try:
        payload = bag_with(SHORT | changes)
    except (ValueError, TypeError):
        return
    assert not bag_is_read(payload)


def test_what_does_not_ask_is_spelled_as_ever():
    plain = msgspec.to_builtins(bag(visit()))
    assert "supplements" not in plain["visits"][0]
    assert b"supplements" not in encode(WORLD.packet().manifest)
    sealed = seal_bag(bag(visit()), RECIPIENT, COMMAND, "command-1")
    assert open_bag(sealed, IDENTITY, KEYS).bag.visits[0].supplements is msgspec.UNSET
    assert refused(b"x") == "bag-unreadable"


@pytest.mark.parametrize("parts", LAWFUL)
def test_a_narrowed_entry_has_the_card_the_parts_review_and_seal(parts):
    whole = shipped()["be.eid.application"]
    short = narrowed(whole, parts)
    assert short.service.steps == ("card", *parts, "review", "seal")
    assert short.digest == whole.digest
    assert (short.service.fingers, short.service.retention) == (
        whole.service.fingers,
        whole.service.retention,
    )
    assert narrowed(whole, ()) == whole


def test_an_entry_is_not_narrowed_to_a_step_it_does_not_have():
    whole = shipped()["be.eid.application"]
    steps = tuple(step for step in whole.service.steps if step != "signature")
    with pytest.raises(BadCatalogue, match="no step signature"):
        narrowed(Entry(msgspec.structs.replace(whole.service, steps=steps), whole.digest), ["signature"])
