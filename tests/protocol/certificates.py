"""A small certificate authority for tests: root, issuing CA and leaves, each detail changeable."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from protocol.identity import USE, Role, subject

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DAY, YEAR = timedelta(days=1), timedelta(days=365)
END = NOW + 20 * YEAR  # much of what is made here is judged by the clock of the day


@dataclass(frozen=True)
class Holder:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def name_of(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


def issue(
    name: x509.Name,
    issuer: Holder | None,
    extensions: list[tuple[x509.ExtensionType, bool]],
    *,
    curve: ec.EllipticCurve | None = None,
    start: datetime = NOW - YEAR,
    end: datetime = END,
    serial: int | None = None,
) -> Holder:
    key = ec.generate_private_key(curve or ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    # Python 3.13 checks TLS chains strictly: both key identifiers must be there (RFC 5280, 4.2.1.1)
    signer = issuer.key if issuer else key
    extensions = [
        *extensions,
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return Holder(key, builder.sign(issuer.key if issuer else key, hashes.SHA384()))


def authority(
    text: str, issuer: Holder | None = None, path_length: int | None = None, end: datetime = END
) -> Holder:
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (key_usage(key_cert_sign=True), True),
    ]
    return issue(name_of(text), issuer, extensions, curve=ec.SECP384R1(), end=end)


def leaf(
    role: Role, name: str, issuer: Holder, *, start: datetime = NOW - YEAR, end: datetime = END
) -> Holder:
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (key_usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([USE[role]]), False),
    ]
    return issue(subject(role, name), issuer, extensions, start=start, end=end)
