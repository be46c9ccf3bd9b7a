"""The evidence that a holder gave the PIN: what it takes to believe it, and what is refused."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from protocol.instant import write_instant
from protocol.possession import LONGEST, NONCE, BadProof, Evidence, check, encode, purpose

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
VISIT = purpose("01KA0000000000000000000001", "be.eid.application", "0207500123")
NUMBER = "71715100070"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class Named:
    key: Key
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


def name(text: str, number: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, text)]
    parts += [x509.NameAttribute(NameOID.SERIAL_NUMBER, number)] if number else []
    return x509.Name(parts)


def make(
    subject: x509.Name,
    issuer: Named | None,
    key: Key,
    *,
    ca: bool | None = True,
    usage: bool | None = True,
    until: datetime = NOW + 3650 * DAY,
) -> Named:
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 300 * DAY)
        .not_valid_after(until)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    if usage is not None:
        flags = {"digital_signature": True, "key_cert_sign": usage, "crl_sign": usage}
        others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        unset = dict.fromkeys((*others, "encipher_only", "decipher_only"), False)
        builder = builder.add_extension(x509.KeyUsage(**flags, **unset), critical=True)
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA384()
    return Named(key, builder.sign(signer, digest))


def p384() -> Key:
    return ec.generate_private_key(ec.SECP384R1())


ROOT = make(name("Root"), None, p384())
AUTHORITY = make(name("Citizen CA"), ROOT, p384())
RSA_KEY = rsa.generate_private_key(65537, 2048)
HOLDER = make(name("Holder", NUMBER), AUTHORITY, p384(), ca=False, usage=False)
RSA_HOLDER = make(name("Holder", NUMBER), AUTHORITY, RSA_KEY, ca=False, usage=False)


def proof(
    holder: Named = HOLDER,
    authority: Named = AUTHORITY,
    said: bytes = VISIT,
    at: datetime = NOW,
    **changes: object,
) -> Evidence:
    message = said + bytes(NONCE)
    if isinstance(holder.key, rsa.RSAPrivateKey):
        signature = holder.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(holder.key, ec.EllipticCurvePrivateKey):
        signature = holder.key.sign(message, ec.ECDSA(hashes.SHA384()))
    else:
        signature = holder.key.sign(message)
    scheme = "rsa-pkcs1v15-sha256" if holder.key is RSA_KEY else "ecdsa-p384-sha384"
    evidence = Evidence(
        scheme=scheme,
        message=message,
        signature=signature,
        certificate=holder.der,
        authority=authority.der,
        at=write_instant(at),
        certificate_valid=holder.certificate.not_valid_after_utc > at,
    )
    return msgspec.structs.replace(evidence, **changes)


def refusal(evidence: Evidence | bytes) -> str:
    data = evidence if isinstance(evidence, bytes) else encode(evidence)
    with pytest.raises(BadProof) as refused:
        check(data, VISIT, [ROOT.certificate], NOW)
    return refused.value.code


@pytest.mark.parametrize("holder", [HOLDER, RSA_HOLDER], ids=["P-384", "RSA"])
def test_a_proof_for_this_visit_names_its_holder(holder: Named) -> None:
    other = make(name("Another root"), None, p384())
    roots = [other.certificate, ROOT.certificate]
    found = check(encode(proof(holder)), VISIT, roots, NOW)
    assert (found.national_number, found.certificate_valid, found.root) == (NUMBER, True, ROOT.certificate)
    assert NUMBER not in repr(found)
    assert repr(proof(holder)) == "Evidence(...)"


def test_an_expired_certificate_is_said_to_be_expired_and_nothing_else() -> None:
    old = make(name("Holder", NUMBER), AUTHORITY, p384(), ca=False, until=NOW - DAY)
    assert not check(encode(proof(old)), VISIT, [ROOT.certificate], NOW).certificate_valid
    assert refusal(proof(old, certificate_valid=True)) == "validity"


def changed(field: str, value: object) -> Callable[[], Evidence]:
    return lambda: msgspec.structs.replace(proof(), **{field: value})


@pytest.mark.parametrize(
    ("make_it", "code"),
    [
        (changed("message", VISIT + bytes(NONCE - 1)), "another-visit"),
        (changed("message", VISIT.replace(b"0001\n", b"0002\n") + bytes(NONCE)), "another-visit"),
        (changed("message", b""), "another-visit"),
        (changed("message", VISIT + b"\1" * NONCE), "signature"),
        (changed("signature", b""), "signature"),
        (changed("signature", proof(RSA_HOLDER).signature), "signature"),
        (changed("scheme", "rsa-pkcs1v15-sha256"), "signature"),
        (lambda: proof(RSA_HOLDER, scheme="ecdsa-p384-sha384"), "signature"),
        (changed("at", write_instant(NOW + timedelta(milliseconds=1))), "from-the-future"),
        (changed("at", "2026-02-30T00:00:00Z"), "malformed"),
        (changed("certificate", b"\x30\x00"), "malformed"),
        (changed("certificate", make(name("Nobody"), AUTHORITY, p384()).der), "malformed"),
        (changed("authority", HOLDER.der), "untrusted"),
        (changed("authority", make(name("Citizen CA"), ROOT, p384()).der), "untrusted"),
        (changed("authority", ROOT.der), "untrusted"),
    ],
)
def test_what_proves_nothing_says_why(make_it: Callable[[], Evidence], code: str) -> None:
    assert refusal(make_it()) == code


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"null",
        encode(proof())[:-1],
        encode(proof()).replace(b'"v":1', b'"v":2'),
        encode(proof()).replace(b'"v":1', b'"v":1,"x":1'),
        b" " * (LONGEST + 1),
    ],
)
def test_what_is_no_such_part_is_malformed(data: bytes) -> None:
    assert refusal(data) == "malformed"


@pytest.mark.parametrize(
    "issuer",
    [
        make(name("Citizen CA"), ROOT, p384(), ca=False),
        make(name("Citizen CA"), ROOT, p384(), ca=None),
        make(name("Citizen CA"), ROOT, p384(), usage=False),
        make(name("Citizen CA"), ROOT, ed25519.Ed25519PrivateKey.generate()),
    ],
    ids=["not a CA", "no constraints", "may not sign certificates", "a key no card has"],
)
def test_only_a_ca_vouches_for_a_holder(issuer: Named) -> None:
    holder = make(name("Holder", NUMBER), issuer, p384(), ca=False)
    assert refusal(proof(holder, issuer)) == "untrusted"


def test_a_ca_without_key_usage_may_issue() -> None:
    authority = make(name("Citizen CA"), ROOT, p384(), usage=None)
    holder = make(name("Holder", NUMBER), authority, p384(), ca=False)
    assert check(encode(proof(holder, authority)), VISIT, [ROOT.certificate], NOW)


def test_a_root_whose_key_no_card_knows_vouches_for_nobody() -> None:
    root = make(name("Root"), None, ed25519.Ed25519PrivateKey.generate())
    authority = make(name("Citizen CA"), ROOT, p384())
    holder = make(name("Holder", NUMBER), authority, p384(), ca=False)
    with pytest.raises(BadProof):
        check(encode(proof(holder, authority)), VISIT, [root.certificate], NOW)
