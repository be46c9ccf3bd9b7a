"""What a certificate of this fleet looks like: subject, key use and life per role (docs/protocol.md 1)."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from protocol.identity import USE, Role, subject

Branch = Literal["kit", "officer", "server"]
"""The issuing CAs under the root: for what travels, for people, for what stands in a data centre."""

BACKDATED = timedelta(hours=1)  # a kit whose clock is a little slow still trusts its new certificate


@dataclass(frozen=True)
class Profile:
    """Who issues the certificates of a role, and how long they live."""

    branch: Branch
    days: int


PROFILES: dict[Role, Profile] = {
    Role.KIT_TLS: Profile("kit", 30),
    Role.KIT_SIGN: Profile("kit", 30),
    Role.OFFICER: Profile("officer", 365),
    Role.OFFICER_KEY: Profile("officer", 365),
    Role.SERVER: Profile("server", 90),
    Role.BROKER: Profile("server", 90),
    Role.INGEST: Profile("server", 90),
    Role.SERVICE: Profile("server", 90),
    Role.CUSTODIAN: Profile("server", 365),
    Role.COLLECTOR: Profile("server", 90),
}


def is_server(role: Role) -> bool:
    """Whether the role answers TLS connections, so that its certificate must name hosts."""
    return USE[role] == ExtendedKeyUsageOID.SERVER_AUTH


def authority_certificate(
    name: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    years: int,
    path_length: int,
) -> x509.Certificate:
    """A CA certificate that may sign certificates and CRLs, with at most `path_length` CAs below it."""
    return (
        _started(name, public_key, issuer, issuer_key, timedelta(days=365 * years))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .sign(issuer_key, hashes.SHA384())
    )


def leaf_certificate(
    role: Role,
    name: str,
    public_key: ec.EllipticCurvePublicKey,
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    life: timedelta,
    hosts: Sequence[str] = (),
) -> x509.Certificate:
    """A certificate for `role`; `hosts` are the DNS names and IP addresses of a server role.

    BadIdentity when the name does not fit the role."""
    names: list[x509.GeneralName] = [_host(host) for host in hosts]
    if not is_server(role):
        names = [x509.UniformResourceIdentifier(f"urn:thuisloket:{role}:{name}")]
    return (
        _started(subject(role, name), public_key, issuer.subject, issuer_key, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(certificates=False), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([USE[role]]), critical=False)
        .sign(issuer_key, hashes.SHA384())
    )


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _started(
    name: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    life: timedelta,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )
