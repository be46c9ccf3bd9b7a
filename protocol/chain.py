"""From a leaf certificate to a pinned root: the few, strict rules of our own small certificate authority.

Not a general path validator: no policies, no name constraints, no revocation (the caller keeps the list of
refused serial numbers). A critical extension it does not know is refused.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.bad import Bad

LONGEST = 3  # certificates sent along: the leaf and at most two issuing CAs
_UNDERSTOOD = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName)
# All that a changed byte was seen to raise besides ValueError.
_UNREADABLE = (
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    TypeError,
)
_HASHES = (hashes.SHA256, hashes.SHA384)


class BadChain(Bad):
    """code: certificate-untrusted or certificate-expired."""


def check_chain(chain: Sequence[x509.Certificate], roots: Iterable[x509.Certificate], at: datetime) -> None:
    """BadChain unless each of `chain` is issued by the next, the last by one of `roots`, all valid `at`.

    `at` has a zone. Trust is judged before validity: `certificate-expired` always means one of ours."""
    if not 1 <= len(chain) <= LONGEST:
        raise BadChain("certificate-untrusted", f"a chain of {len(chain)} certificates")
    root = next((root for root in roots if _issued(chain[-1], root)), None)
    if root is None:
        raise BadChain("certificate-untrusted", "no trusted root issued it")
    for below, (certificate, issuer) in enumerate(zip(chain, [*chain[1:], root], strict=True)):
        if not _issued(certificate, issuer):
            raise BadChain("certificate-untrusted", "a certificate was not issued by the next")
        _check_issuer(issuer, below)
        _check_critical(certificate)
    for certificate in (*chain, root):
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            raise BadChain("certificate-expired", certificate.subject.rfc4514_string()[:120])


def load_certificate(der: bytes) -> x509.Certificate:
    """A certificate whose every part has been parsed. ValueError when any part cannot be.

    cryptography parses lazily: without this a bad extension would surface later, and not as a ValueError."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.public_key(), certificate.subject, certificate.issuer, certificate.extensions
        _ = certificate.signature_hash_algorithm, certificate.not_valid_before_utc
    except _UNREADABLE as problem:
        raise ValueError("a certificate with parts that cannot be read") from problem
    return certificate


def may_issue(certificate: x509.Certificate) -> bool:
    """Basic constraints say CA, and the key usage, where there is one, certSign."""
    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as missing:
        return missing.oid == x509.KeyUsage.oid


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if not isinstance(certificate.signature_hash_algorithm, _HASHES):
        return False
    if not isinstance(issuer.public_key(), ec.EllipticCurvePublicKey):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _check_issuer(issuer: x509.Certificate, below: int) -> None:
    """`below`: how many CA certificates lie between this issuer and the leaf."""
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as problem:
        raise BadChain("certificate-untrusted", "an issuer is no CA") from problem
    if not constraints.ca or not usage.key_cert_sign:
        raise BadChain("certificate-untrusted", "an issuer is no CA")
    if constraints.path_length is not None and below > constraints.path_length:
        raise BadChain("certificate-untrusted", "the path is longer than its CA allows")


def _check_critical(certificate: x509.Certificate) -> None:
    for extension in certificate.extensions:
        if extension.critical and not isinstance(extension.value, _UNDERSTOOD):
            raise BadChain("certificate-untrusted", f"critical extension {extension.oid.dotted_string}")
