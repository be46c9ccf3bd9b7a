"""A security key's registration, attested by a maker of ours, byte by byte."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from protocol.sealed import cbor
from protocol.sealed.registration import BadRegistration, Registration, challenge_of, verify
from tests.protocol.certificates import NOW, YEAR, Holder, authority

OFFICER = "an.peeters"
MAKER = authority("Maker")


def device(unit: str = "Authenticator Attestation", by: Holder = MAKER) -> Holder:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, unit)])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(by.certificate.subject)
    built = built.public_key(key.public_key()).serial_number(7)
    built = built.not_valid_before(NOW - YEAR).not_valid_after(NOW + YEAR)
    return Holder(key, built.sign(by.key, hashes.SHA256()))


DEVICE = device()
KEY = ec.generate_private_key(ec.SECP256R1())


def encoded(value: Any) -> bytes:
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encoded, value))
    return head(5, len(value)) + b"".join(encoded(name) + encoded(of) for name, of in value.items())


def head(kind: int, number: int) -> bytes:
    if number < 24:
        return bytes([kind << 5 | number])
    for info, size in ((24, 1), (25, 2), (26, 4)):
        if number < 1 << 8 * size:
            return bytes([kind << 5 | info]) + number.to_bytes(size)
    raise ValueError


def cose(**changes: Any) -> dict[int, Any]:
    point = KEY.public_key().public_numbers()
    usual: dict[int, Any] = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)}
    return usual | {int(name.removeprefix("at_").replace("m", "-")): of for name, of in changes.items()}


def data(flags: int = 0x45, rp: str = "localhost", key: bytes | None = None, tail: bytes = b"") -> bytes:
    start = hashlib.sha256(rp.encode()).digest() + bytes([flags]) + bytes(4) + bytes(16)
    return start + (4).to_bytes(2) + b"cred" + (encoded(cose()) if key is None else key) + tail


def client(**changes: Any) -> bytes:
    asked = base64.urlsafe_b64encode(challenge_of(OFFICER)).rstrip(b"=").decode()
    usual = {"type": "webauthn.create", "challenge": asked, "origin": "http://localhost:8740"}
    return json.dumps(usual | changes).encode()


def registration(
    said: bytes | None = None, about: bytes | None = None, by: Holder = DEVICE, **changes: Any
) -> Registration:
    said, about = said or client(), data() if about is None else about
    signature = by.key.sign(about + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
    statement = {"alg": -7, "sig": signature, "x5c": [by.certificate.public_bytes(Encoding.DER)]}
    attestation = {"fmt": "packed", "attStmt": statement | changes.pop("statement", {}), "authData": about}
    return Registration(OFFICER, text(said), text(encoded(attestation | changes)))


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_a_key_that_its_maker_attests_is_read() -> None:
    for makers in ([MAKER.certificate], [authority("Another").certificate, DEVICE.certificate]):
        told = verify(registration(), makers, NOW)
        assert told.credential == b"cred"
        assert told.key.public_numbers() == KEY.public_key().public_numbers()


STRANGER = device(by=Holder(ec.generate_private_key(ec.SECP256R1()), MAKER.certificate))


@pytest.mark.parametrize(
    "told",
    [
        registration(client(type="webauthn.get")),
        registration(client(challenge="AAAA")),
        registration(client(origin="https://localhost")),
        registration(about=data(flags=0x41)),  # not verified
        registration(about=data(flags=0x4D)),  # may be copied
        registration(about=data(flags=0x05)),  # no key
        registration(about=data(rp="example.com")),
        registration(about=data(tail=b"x")),
        registration(about=data(key=b"")),
        registration(about=data(key=encoded(cose(at_3=-8)))),
        registration(about=data(key=encoded(cose(at_m2=bytes(32))))),
        registration(about=data(key=encoded(cose(at_m2=b"x")))),
        registration(about=data(key=encoded({**cose(), 9: 1}))),
        registration(about=data()[:40]),
        registration(by=STRANGER),
        registration(by=device("Batch")),
        registration(fmt="none"),
        registration(fmt="fido-u2f"),
        registration(authData=1),
        registration(statement={"alg": -257}),
        registration(statement={"sig": b"x"}),
        registration(statement={"x5c": []}),
        registration(statement={"x5c": [b"x"]}),
        registration(statement={"x5c": [1]}),
        Registration(OFFICER, "AAAA", "AAAA"),
        Registration(OFFICER, "*", "AAAA"),
        Registration("jo.maes", registration().client_data, registration().attestation_object),
    ],
)
def test_what_is_not_attested_for_this_officer_is_refused(told: Registration) -> None:
    with pytest.raises(BadRegistration):
        verify(told, [MAKER.certificate], NOW)


def test_a_maker_must_be_trusted_and_its_word_valid() -> None:
    for makers, at in (
        ([], NOW),
        ([authority("Another").certificate], NOW),
        ([MAKER.certificate], NOW + 2 * YEAR),
    ):
        with pytest.raises(BadRegistration):
            verify(registration(), makers, at)
    forged = replace(DEVICE, key=ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(BadRegistration):
        verify(registration(by=forged), [MAKER.certificate], NOW + timedelta(days=1))


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"\x00", 0),
        (b"\x18\xff", 255),
        (b"\x38\x63", -100),
        (b"\x43abc", b"abc"),
        (b"\x63abc", "abc"),
        (b"\x82\x01\x02", [1, 2]),
        (b"\xa1\x61a\x1a\x00\x01\x00\x00", {"a": 65536}),
    ],
)
def test_cbor_is_read(raw: bytes, value: object) -> None:
    assert cbor.loads(raw) == value


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"\x18", b"\x43ab", b"\x00\x00", b"\x5f", b"\x1f", b"\xf6", b"\xc0\x00", b"\x61\xff"),
        *(
            b"\x9a\xff\xff\xff\xff",
            b"\xba\xff\xff\xff\xff",
            b"\xa2\x01\x01\x01\x01",
            b"\xa1\x40\x00",
            b"\x81" * 9,
        ),
    ],
)
def test_what_is_no_cbor_of_an_authenticator_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        cbor.loads(raw)
