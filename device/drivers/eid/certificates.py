"""Certificates of the card: cutting, parsing, and who issued them.

Signatures are verified here by hand, since `cryptography` refuses to verify a certificate signed with SHA-1
and the first generations of the card have nothing else; what that is worth is said by `Strength`.
"""

from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from device.drivers.eid.der import BadDer, cut
from protocol.chain import may_issue

Strength = Literal["strong", "weak"]
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
STRONG = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
MALFORMED = (  # what `cryptography` raises for bytes it does not take; they have no common ancestor
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UserWarning,  # names and serial numbers out of bounds, where warnings are errors
)
RSA_BITS = 2048  # below this, and with SHA-1, a signature is weak


class BadCertificate(ValueError):
    """Not a certificate, or of a kind no card has."""


def parse(data: bytes) -> x509.Certificate:
    """The certificate in a card file, padding cut. BadCertificate with a reason without personal data."""
    try:
        certificate = x509.load_der_x509_certificate(cut(data))
        certificate_key(certificate)
        certificate.extensions  # noqa: B018  parsed late by the library: force it to fail here
        certificate.subject, certificate.issuer  # noqa: B018
    except (BadDer, *MALFORMED) as error:
        raise BadCertificate(type(error).__name__) from error
    if certificate.serial_number <= 0:
        raise BadCertificate("serial number")
    return certificate


def certificate_key(certificate: x509.Certificate) -> PublicKey:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise BadCertificate("kind of key")
    return key


def absent(data: bytes) -> bool:
    """A certificate that was never put on the card is a file of zeros (Kids-ID, refused certificates)."""
    return not any(data)


def verify(key: PublicKey, signature: bytes, data: bytes, digest: hashes.HashAlgorithm) -> bool:
    """True when `signature` (DER for EC, PKCS#1 v1.5 for RSA) is by `key` over `data`."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), digest)
        else:
            key.verify(signature, data, ec.ECDSA(digest))
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


def key_strength(key: PublicKey) -> Strength:
    return "weak" if isinstance(key, rsa.RSAPublicKey) and key.key_size < RSA_BITS else "strong"


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> Strength | None:
    """How strongly `issuer` signed `certificate`, directly; None when it did not or may not."""
    if certificate.issuer != issuer.subject or not may_issue(issuer):
        return None
    try:
        digest = certificate.signature_hash_algorithm
        key = certificate_key(issuer)
    except (UnsupportedAlgorithm, ValueError):
        return None
    if not isinstance(digest, (*STRONG, hashes.SHA1)):
        return None
    if not verify(key, certificate.signature, certificate.tbs_certificate_bytes, digest):
        return None
    return "weak" if isinstance(digest, hashes.SHA1) else key_strength(key)


def may_sign_data(certificate: x509.Certificate) -> bool:
    """The usage of the national register's certificate: digitalSignature with nonRepudiation, and no CA."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return usage.digital_signature and usage.content_commitment and not may_issue(certificate)


def names(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> list[str]:
    """The subject's attributes of one kind, as text."""
    return [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)]


COMMON_NAME = NameOID.COMMON_NAME
SERIAL_NUMBER = NameOID.SERIAL_NUMBER
