"""Who vouches for the data: the national register's certificate (RRN) and the holder's own certificate.

The RRN certificate must be issued directly by a trusted root. Without that rule anybody with an eID could
sign "identity files" with the certificate under the citizen CA.
"""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from device.drivers.eid.certificates import (
    COMMON_NAME,
    SERIAL_NUMBER,
    BadCertificate,
    PublicKey,
    Strength,
    certificate_key,
    issued_by,
    key_strength,
    may_sign_data,
    names,
    parse,
)
from device.drivers.eid.trust import Anchor, TrustStore


@dataclass(frozen=True)
class Register:
    """What the RRN certificate is worth: its key, when it is one at all, and what speaks against it."""

    key: PublicKey | None = None
    reason: str = ""
    strength: Strength = "strong"
    test_trust: bool = False

    @property
    def trusted(self) -> bool:
        return not self.reason


def judge_register(rrn: bytes, root_on_card: bytes, trust: TrustStore, at: datetime) -> Register:
    """Reasons: rrn-certificate, untrusted-root, rrn-chain, rrn-expired. `at` is the wall clock, with zone."""
    try:
        certificate = parse(rrn)
        key = certificate_key(certificate)
    except BadCertificate:
        return Register(reason="rrn-certificate")
    found = _issuer(certificate, trust)
    if found is None:
        return Register(key, "untrusted-root" if _own_root(certificate, root_on_card) else "rrn-chain")
    issuer, strength = found
    reason = ""
    named = not issuer.pinned or names(certificate, COMMON_NAME) == ["RRN"]  # a test root names its own
    if not named or not may_sign_data(certificate) or at < certificate.not_valid_before_utc:
        reason = "rrn-certificate"
    elif at > certificate.not_valid_after_utc:
        reason = "rrn-expired"
    if key_strength(key) == "weak":
        strength = "weak"
    return Register(key, reason, strength, not issuer.pinned)


def holder_matches(authentication: bytes, authority: bytes, national_number: str, trust: TrustStore) -> bool:
    """True when the authentication certificate is of this person, under a CA of a trusted root.

    Its validity is no matter here: an expired card is the ordinary reason of a visit.
    """
    try:
        holder, issuer = parse(authentication), parse(authority)
    except BadCertificate:
        return False
    if names(holder, SERIAL_NUMBER) != [national_number]:
        return False
    return holder_anchor(holder, issuer, trust) is not None


def holder_anchor(holder: x509.Certificate, issuer: x509.Certificate, trust: TrustStore) -> Anchor | None:
    """The trusted root above the holder's certificate and the CA that issued it; None when there is none."""
    if issued_by(holder, issuer) is None:
        return None
    found = _issuer(issuer, trust)
    return found[0] if found else None


def _issuer(certificate: x509.Certificate, trust: TrustStore) -> tuple[Anchor, Strength] | None:
    for anchor in trust.anchors:
        strength = issued_by(certificate, anchor.certificate)
        if strength is not None:
            return anchor, strength
    return None


def _own_root(certificate: x509.Certificate, root_on_card: bytes) -> bool:
    """The card brings a root of its own that did issue the certificate: sound, but nobody we believe."""
    try:
        root = parse(root_on_card)
    except BadCertificate:
        return False
    return issued_by(root, root) is not None and issued_by(certificate, root) is not None
