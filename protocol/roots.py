"""Roots that follow each other: a new one is believed when one that is trusted already vouches for its key.

The voucher is a *link*: a CA certificate for the new root's name and key, issued by the old root ("new with
old", RFC 4210, 4.4). It is looked at once, and kept nowhere.
"""

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.chain import load_certificate

MOST = 8  # certificates in a bundle: two roots, and room for a change


class BadRoots(ValueError):
    """A bundle of roots that must not be taken over; the message says why."""


def read(pem: bytes) -> list[x509.Certificate]:
    """The certificates of a bundle. BadRoots."""
    try:
        found = x509.load_pem_x509_certificates(pem)
        for one in found:
            load_certificate(one.public_bytes(serialization.Encoding.DER))  # every part of it
    except ValueError as problem:
        raise BadRoots("not certificates in PEM") from problem
    if not 1 <= len(found) <= MOST:
        raise BadRoots(f"{len(found)} certificates")
    return found


def accept(held: Sequence[x509.Certificate], offered: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The roots among `offered`, each of which is held or linked to one that is. BadRoots when one is not."""
    roots = [one for one in offered if _issued(one, one)]
    links = [one for one in offered if one not in roots]
    for root in roots:
        if root not in held and not any(_links(link, root, held) for link in links):
            raise BadRoots(f"nobody vouches for {root.subject.rfc4514_string()[:80]}")
    if not roots:
        raise BadRoots("no root in it")
    return roots


def _links(link: x509.Certificate, root: x509.Certificate, held: Sequence[x509.Certificate]) -> bool:
    same = link.subject == root.subject and link.public_key() == root.public_key()
    return same and any(_issued(link, old) for old in held)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Signed by that CA, and a CA itself."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        return False
    return constraints.ca and isinstance(issuer.public_key(), ec.EllipticCurvePublicKey)
