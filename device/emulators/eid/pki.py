"""Test roots and what they issue: per family a root, a citizen CA and the register's certificate (RRN).

    ec     P-384, SHA-384: applet 1.8 and re-keyed 1.7
    rsa    RSA-2048, SHA-256: applet 1.7
    old    RSA-1024, SHA-1: applet 1.1

A folder keeps them for the next card: `keys/` private keys, `trust/` the roots a kit is to believe (DER).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

FamilyName = Literal["ec", "rsa", "old"]
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
RSA_BITS = {"rsa": 2048, "old": 1024}
YEARS = timedelta(days=3650)
YESTERDAY = timedelta(days=30)
SHA256_RSA = bytes.fromhex("300D06092A864886F70D01010B0500")
SHA1_RSA = bytes.fromhex("300D06092A864886F70D0101050500")  # as long, so it can take the other's place
COMMON_NAME_AT_MOST = 64  # bytes


@dataclass(frozen=True)
class Holder:
    """A key with the certificate for it."""

    key: Key
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


@dataclass(frozen=True)
class Family:
    name: FamilyName
    root: Holder
    authority: Holder
    rrn: Holder


@dataclass(frozen=True)
class Wanted:
    """What a certificate says; uses: `ca`, `sign` (digitalSignature), `repudiate` (nonRepudiation)."""

    common_name: str
    serial_number: str = ""
    ca: bool = False
    sign: bool = True
    repudiate: bool = False
    start: datetime | None = None
    end: datetime | None = None


def new_key(family: FamilyName) -> Key:
    if family == "ec":
        return ec.generate_private_key(ec.SECP384R1())
    return rsa.generate_private_key(65537, RSA_BITS[family])


def issue(family: FamilyName, wanted: Wanted, key: Key, issuer: Holder | None) -> Holder:
    """A certificate for `key`, by `issuer` or by itself."""
    now = datetime.now(UTC)
    subject = _name(wanted.common_name, wanted.serial_number)
    usage = x509.KeyUsage(
        digital_signature=wanted.sign and not wanted.ca,
        content_commitment=wanted.repudiate,
        key_cert_sign=wanted.ca,
        crl_sign=wanted.ca,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(wanted.start or now - YESTERDAY)
        .not_valid_after(wanted.end or now + YEARS)
        .add_extension(x509.BasicConstraints(ca=wanted.ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
    signer = issuer.key if issuer else key
    if family != "old":
        digest = hashes.SHA384() if family == "ec" else hashes.SHA256()
        return Holder(key, builder.sign(signer, digest))
    assert isinstance(signer, rsa.RSAPrivateKey)
    return Holder(key, _with_sha1(builder.sign(signer, hashes.SHA256()), signer))


def new_family(name: FamilyName) -> Family:
    label = name.upper()
    root = issue(name, Wanted(f"Thuisloket TEST Root {label}", ca=True), new_key(name), None)
    authority = issue(name, Wanted(f"Thuisloket TEST Citizen CA {label}", ca=True), new_key(name), root)
    return Family(name, root, authority, issue(name, register(), new_key(name), root))


def register(start: datetime | None = None, end: datetime | None = None, repudiate: bool = True) -> Wanted:
    return Wanted("Thuisloket TEST RRN", repudiate=repudiate, start=start, end=end)


class Pki:
    """Families kept in a folder, made when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._keys = folder / "keys"
        self._trust = folder / "trust"

    def family(self, name: FamilyName) -> Family:
        paths = {role: self._keys / f"{name}-{role}.pem" for role in ("root", "authority", "rrn")}
        if all(path.exists() for path in paths.values()):
            return Family(name, **{role: _load(path) for role, path in paths.items()})
        family = new_family(name)
        for folder in (self._keys, self._trust):
            folder.mkdir(parents=True, exist_ok=True)
        self._keys.chmod(0o700)
        for role, path in paths.items():
            _save(path, getattr(family, role))
        (self._trust / f"test-root-{name}.der").write_bytes(family.root.der)
        return family


def _name(common_name: str, serial_number: str) -> x509.Name:
    short = common_name.encode()[:COMMON_NAME_AT_MOST].decode(errors="ignore")
    attributes = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "BE"),
        x509.NameAttribute(NameOID.COMMON_NAME, short),
    ]
    if serial_number:
        attributes.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, serial_number))
    return x509.Name(attributes)


def _with_sha1(certificate: x509.Certificate, signer: rsa.RSAPrivateKey) -> x509.Certificate:
    """The same certificate signed with SHA-1, which the library verifies but does not make."""
    tbs = certificate.tbs_certificate_bytes.replace(SHA256_RSA, SHA1_RSA, 1)
    signature = signer.sign(tbs, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303  the first generation has only this
    body = tbs + SHA1_RSA + _der(0x03, b"\0" + signature)
    return x509.load_der_x509_certificate(_der(0x30, body))


def _der(tag: int, content: bytes) -> bytes:
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes(2, "big").lstrip(b"\0")
    return bytes((tag, 0x80 | len(length))) + length + content


def _save(path: Path, holder: Holder) -> None:
    key = holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(key + holder.certificate.public_bytes(Encoding.PEM))
    path.chmod(0o600)


def _load(path: Path) -> Holder:
    data = path.read_bytes()
    key = load_pem_private_key(data, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    return Holder(key, x509.load_pem_x509_certificate(data))
