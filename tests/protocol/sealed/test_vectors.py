"""The literal bytes of tests/vectors/sealed: what we wrote then we read today, and so does everybody else.

They stay as they are until the protocol itself changes; then `python -m tests.protocol.sealed.make_vectors`
makes all but the day bag anew, and rewrites the two hashes below.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from msgspec import to_builtins

from protocol.bag import open_bag
from protocol.sealed.packet import BadPacket, open_packet, without
from protocol.sealed.receipt import verify_receipt
from protocol.sealed.recipients import verify_list

FOLDER = Path(__file__).parents[2] / "vectors" / "sealed"
AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
MANIFEST_SHA256 = "1676a1d46b9c20453c6f18215c0d7c2af0358b01814cdd0401676222cb898a8f"
CMS_MANIFEST_SHA256 = "8a0403960d7842cbdf3a8cf501d154f8a0ca68341efae582b2fff7356a3f8ef6"
OTHER_MANIFEST_SHA256 = "3097d5cbc309c60f55ffd24128f68af60d72713878c1859a5043fbb6338bb2fa"
PARTS = [
    ("identity.json", b'{"surname":"Vector"}'),
    ("photo.jpg", bytes.fromhex("ffd8ffe0") + bytes(range(64))),
    ("finger-right-index.png", bytes.fromhex("89504e470d0a1a0a")),
    ("evidence-medical.json", b'{"kind":"medical-certificate"}'),
    ("application.json", b'{"procedure":"normal"}'),
]


def identity(name: str) -> str:
    return (FOLDER / name).read_text().splitlines()[-1]


def public_key(name: str):
    return load_pem_public_key((FOLDER / name).read_bytes())


def packet(data: bytes, *, missing_ok: bool = False):
    root = x509.load_pem_x509_certificate((FOLDER / "root.pem").read_bytes())
    private = load_pem_private_key((FOLDER / "service-cms.key").read_bytes(), None)
    keys = [identity("service.age"), private]
    return open_packet(data, keys, [root], [root], AT, missing_ok=missing_ok)


def test_the_packet_opens_to_its_five_parts_in_four_groups():
    opened = packet((FOLDER / "application.packet").read_bytes())
    manifest = opened.outer.manifest
    assert opened.outer.manifest_sha256 == MANIFEST_SHA256
    assert (manifest.kit_id, manifest.suite, manifest.officer_signature) == (
        "kit-vector-01",
        "age1pq",
        "pin-key",
    )
    assert [(part.name, part.data) for part in opened.parts] == PARTS
    assert [one.group for one in manifest.payload] == ["identity", "biometric", "evidence", "operations"]


def test_the_packet_of_the_other_suite_opens_to_the_same_parts():
    opened = packet((FOLDER / "application-cms.packet").read_bytes())
    manifest = opened.outer.manifest
    assert opened.outer.manifest_sha256 == CMS_MANIFEST_SHA256
    assert (manifest.suite, manifest.officer_signature) == ("cms-p256-gcm", "webauthn")
    assert (manifest.seq, manifest.prev) == (2, MANIFEST_SHA256)
    assert [(part.name, part.data) for part in opened.parts] == PARTS


def test_the_shredded_packet_is_the_first_without_its_biometric_group():
    data = (FOLDER / "shredded.packet").read_bytes()
    assert data == without((FOLDER / "application.packet").read_bytes(), ["biometric"])
    with pytest.raises(BadPacket, match="group-missing"):
        packet(data)
    opened = packet(data, missing_ok=True)
    assert opened.shredded == ("biometric",)
    assert [(part.name, part.data) for part in opened.parts] == [PARTS[0], *PARTS[3:]]


def test_the_packet_without_its_last_byte_does_not():
    with pytest.raises(BadPacket, match="truncated"):
        packet((FOLDER / "application.packet").read_bytes()[:-1])


def test_the_list_names_the_key_of_the_receipt():
    recipients = verify_list((FOLDER / "recipients.jws").read_text(), public_key("list-key.pem"), AT)
    assert recipients.service_id == "be.ibz.belpic"
    assert [one.kid for one in recipients.recipients] == ["vector-0", "vector-1"]
    receipt = verify_receipt((FOLDER / "receipt.jws").read_text(), recipients.public_receipt_keys())
    assert (receipt.verdict, receipt.manifest_sha256) == ("accepted", MANIFEST_SHA256)


def test_the_list_of_the_other_suite_has_its_keys():
    recipients = verify_list((FOLDER / "recipients-cms.jws").read_text(), public_key("list-key.pem"), AT)
    assert recipients.suite == "cms-p256-gcm"
    private = load_pem_private_key((FOLDER / "service-cms.key").read_bytes(), None)
    assert recipients.recipients[0].public_key() == private.public_key()


def test_the_bag_opens_to_its_visit():
    bag = open_bag(
        (FOLDER / "day.bag").read_bytes(), identity("bag.age"), {"command-1": public_key("command-key.pem")}
    ).bag
    assert (bag.kit_id, bag.version, bag.date) == ("kit-vector-01", 3, "2026-11-23")
    assert [(visit.citizen.name, visit.place.street) for visit in bag.visits] == [
        ("Victor Vector", "Vectorstraat 1")
    ]


def test_a_packet_whose_files_have_the_other_digest_opens_too():
    """The packet above has SHA-512, as all had at first; `tests/vectors/digest` is of the same parts."""
    folder = FOLDER.parent / "digest"
    root = x509.load_pem_x509_certificate((folder / "root.pem").read_bytes())
    data, key = (folder / "application.packet").read_bytes(), (folder / "service.age").read_text()
    opened = open_packet(data, [key.splitlines()[-1]], [root], [root], AT)
    assert opened.outer.manifest_sha256 == OTHER_MANIFEST_SHA256
    assert [(part.name, part.data) for part in opened.parts] == PARTS
    for manifest, digests in (
        (opened.outer.manifest, ("sha256",)),
        (packet((FOLDER / "application.packet").read_bytes()).outer.manifest, ("sha512",)),
    ):
        named = {name for one in to_builtins(manifest.payload) for name in one}
        assert named == {"group", "size", *digests}
