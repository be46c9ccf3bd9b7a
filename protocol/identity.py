"""Who a certificate speaks for (`O=Thuisloket, OU=<role>, CN=<name>`) and what its key may be used for."""

import re
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocol.bad import Bad

ORGANISATION = "Thuisloket"


class Role(StrEnum):
    """What the holder does; the subject's OU."""

    KIT_TLS = "kit-tls"
    KIT_SIGN = "kit-sign"
    OFFICER = "officer"
    OFFICER_KEY = "officer-key"
    SERVER = "server"
    BROKER = "broker"
    INGEST = "ingest"
    SERVICE = "service"
    CUSTODIAN = "custodian"
    COLLECTOR = "collector"


KIT_ID = re.compile(r"kit-[a-z0-9-]{1,28}")
OFFICER_ID = re.compile(r"[a-z0-9.-]{2,40}")
HOST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?")
TENANT = re.compile(r"[0-9]{10}")
SERVICE_ID = re.compile(r"[a-z]{2,3}(?:\.[a-z0-9-]{1,30}){1,4}")

NAME_OF: dict[Role, re.Pattern[str]] = {
    Role.KIT_TLS: KIT_ID,
    Role.KIT_SIGN: KIT_ID,
    Role.OFFICER: OFFICER_ID,
    Role.OFFICER_KEY: OFFICER_ID,
    Role.SERVER: HOST_NAME,
    Role.BROKER: HOST_NAME,
    Role.INGEST: HOST_NAME,
    Role.SERVICE: HOST_NAME,
    Role.CUSTODIAN: HOST_NAME,
    Role.COLLECTOR: HOST_NAME,
}
_DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")  # RFC 9336
USE: dict[Role, x509.ObjectIdentifier] = {
    Role.KIT_TLS: ExtendedKeyUsageOID.CLIENT_AUTH,
    Role.INGEST: ExtendedKeyUsageOID.CLIENT_AUTH,
    Role.COLLECTOR: ExtendedKeyUsageOID.CLIENT_AUTH,
    Role.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
    Role.BROKER: ExtendedKeyUsageOID.SERVER_AUTH,
    Role.SERVICE: ExtendedKeyUsageOID.SERVER_AUTH,
    Role.KIT_SIGN: _DOCUMENT_SIGNING,
    Role.OFFICER: _DOCUMENT_SIGNING,
    Role.OFFICER_KEY: _DOCUMENT_SIGNING,
    Role.CUSTODIAN: _DOCUMENT_SIGNING,
}
_SHAPE = (NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COMMON_NAME)


class BadIdentity(Bad):
    """The certificate does not say who it is in the way docs/protocol.md section 1 lays down.

    code: certificate-subject, unknown-role, certificate-usage."""


def subject(role: Role, name: str) -> x509.Name:
    """The subject of a certificate for `name` in `role`. BadIdentity when the name does not fit the role."""
    _check_name(role, name)
    values = (ORGANISATION, str(role), name)
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in zip(_SHAPE, values, strict=True)])


def role_of(certificate: x509.Certificate) -> tuple[Role, str]:
    """Role and name in the subject. BadIdentity unless it is exactly O, OU, CN in this order, each once."""
    parts = [list(rdn) for rdn in certificate.subject.rdns]
    if [part[0].oid if len(part) == 1 else None for part in parts] != list(_SHAPE):
        raise BadIdentity("certificate-subject", "subject is not O, OU, CN")
    organisation, unit, name = (part[0].value for part in parts)
    if organisation != ORGANISATION or not isinstance(unit, str) or not isinstance(name, str):
        raise BadIdentity("certificate-subject", "another organisation")
    try:
        role = Role(unit)
    except ValueError as problem:
        raise BadIdentity("unknown-role", unit[:40]) from problem
    _check_name(role, name)
    return role, name


def serial_of(certificate: x509.Certificate) -> str:
    """The serial number as documents spell it: lower-case hex without leading zeros."""
    return format(certificate.serial_number, "x")


def check_use(certificate: x509.Certificate, role: Role) -> None:
    """BadIdentity unless key (P-256), key usage and extended key usage are those of `role`, and no CA's."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadIdentity("certificate-usage", "key is not on P-256")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as problem:
        raise BadIdentity("certificate-usage", "no key usage") from problem
    if not usage.digital_signature or usage.key_cert_sign or usage.crl_sign:
        raise BadIdentity("certificate-usage", "key usage is not digitalSignature")
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.BasicConstraints) and extension.value.ca:
            raise BadIdentity("certificate-usage", "a CA certificate")
    extended = [e.value for e in certificate.extensions if isinstance(e.value, x509.ExtendedKeyUsage)]
    if [list(use) for use in extended] != [[USE[role]]]:
        raise BadIdentity("certificate-usage", f"extended key usage is not that of {role}")


def _check_name(role: Role, name: str) -> None:
    if NAME_OF[role].fullmatch(name) is None:
        raise BadIdentity("certificate-subject", f"not a name for {role}")
