"""The literal bytes of tests/vectors/sealed: what we wrote then we read today, and so does everybody else."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from protocol.bag import open_bag
from protocol.sealed.packet import BadPacket, open_packet
from protocol.sealed.receipt import verify_receipt
from protocol.sealed.recipients import verify_list

FOLDER = Path(__file__).parents[2] / "vectors" / "sealed"
AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
MANIFEST_SHA256 = "d1a741726d7844299a42466b4790222c0b6dca53dec62bf011160c8c6ff977fd"


def identity(name: str) -> str:
    return (FOLDER / name).read_text().splitlines()[-1]


def public_key(name: str):
    return load_pem_public_key((FOLDER / name).read_bytes())


def packet(data: bytes):
    root = x509.load_pem_x509_certificate((FOLDER / "root.pem").read_bytes())
    return open_packet(data, [identity("service.age")], [root], [root], AT)


def test_the_packet_opens_to_its_four_parts():
    opened = packet((FOLDER / "application.packet").read_bytes())
    assert opened.outer.manifest_sha256 == MANIFEST_SHA256
    assert opened.outer.manifest.kit_id == "kit-vector-01"
    assert [(part.name, part.type) for part in opened.parts] == [
        ("identity.json", "application/json"),
        ("photo.jpg", "image/jpeg"),
        ("finger-right-index.png", "image/png"),
        ("application.json", "application/json"),
    ]
    assert opened.parts[0].data == b'{"surname":"Vector"}'
    assert opened.parts[1].data == bytes.fromhex("ffd8ffe0") + bytes(range(64))


def test_the_packet_without_its_last_byte_does_not():
    with pytest.raises(BadPacket, match="truncated"):
        packet((FOLDER / "application.packet").read_bytes()[:-1])


def test_the_list_names_the_key_of_the_receipt():
    recipients = verify_list((FOLDER / "recipients.jws").read_text(), public_key("list-key.pem"), AT)
    assert recipients.service_id == "be.ibz.belpic"
    assert [one.kid for one in recipients.recipients] == ["vector-0", "vector-1"]
    receipt = verify_receipt((FOLDER / "receipt.jws").read_text(), recipients.public_receipt_keys())
    assert (receipt.verdict, receipt.manifest_sha256) == ("accepted", MANIFEST_SHA256)


def test_the_bag_opens_to_its_visit():
    bag = open_bag(
        (FOLDER / "day.bag").read_bytes(), identity("bag.age"), {"command-1": public_key("command-key.pem")}
    )
    assert (bag.kit_id, bag.version, bag.date) == ("kit-vector-01", 3, "2026-11-23")
    assert [(visit.citizen.name, visit.place.street) for visit in bag.visits] == [
        ("Victor Vector", "Vectorstraat 1")
    ]
