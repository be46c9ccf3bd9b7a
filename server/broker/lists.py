"""Revocation lists and the CAs they belong to: judged before they are installed, and written whole.

Measured on mosquitto 2.0.11: with an unreadable list at SIGHUP it goes on without any, so a revoked kit gets
in; with a list past its time it refuses everybody; a new CA counts from SIGHUP on only when its list is there
too.
"""

import os
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.identity import serial_of
from server.broker.problem import BrokerProblem

LEAST_LIFE = timedelta(days=7)
_REMEDY = "the lists in force stay; make new ones with `thuisloket-provision ca release`"


def parse(data: bytes) -> list[x509.CertificateRevocationList]:
    """The PEM lists in `data`, at least one. BrokerProblem list-unreadable."""
    mark = b"-----BEGIN X509 CRL-----"
    first, *blocks = data.split(mark)
    try:
        lists = [x509.load_pem_x509_crl(mark + block) for block in blocks]
    except ValueError as problem:
        raise BrokerProblem("list-unreadable", f"not a revocation list in PEM; {_REMEDY}") from problem
    if not lists or first.strip():
        raise BrokerProblem("list-unreadable", f"no revocation list, or something before it; {_REMEDY}")
    return lists


def authorities(data: bytes) -> list[x509.Certificate]:
    """The PEM certificates of a CA bundle. BrokerProblem bundle-unreadable."""
    try:
        found = x509.load_pem_x509_certificates(data)
    except ValueError as problem:
        raise BrokerProblem("bundle-unreadable", f"not certificates in PEM; {_REMEDY}") from problem
    for certificate in found:
        try:
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        except x509.ExtensionNotFound:
            constraints = x509.BasicConstraints(ca=False, path_length=None)
        if not constraints.ca:
            raise BrokerProblem("bundle-unreadable", f"a certificate in the bundle is no CA; {_REMEDY}")
    return found


def judge(
    lists: Sequence[x509.CertificateRevocationList],
    cas: Sequence[x509.Certificate],
    now: datetime,
    before: Sequence[x509.CertificateRevocationList] = (),
) -> None:
    """BrokerProblem unless every list is signed by a CA of `cas`, has a week to live, is not older than the
    one of `before` of the same CA, and every CA that is not a root has its list."""
    issuers = {ca.subject.public_bytes(): ca for ca in cas}
    covered = set()
    for one in lists:
        name = one.issuer.rfc4514_string()
        issuer = issuers.get(one.issuer.public_bytes())
        if issuer is None or not _signed_by(one, issuer):
            raise BrokerProblem("list-unsigned", f"no CA of the bundle signed the list of {name}; {_REMEDY}")
        until = one.next_update_utc
        if until is None or until < now + LEAST_LIFE or one.last_update_utc > now:
            raise BrokerProblem("list-expiring", f"the list of {name} lives until {until}; {_REMEDY}")
        covered.add(one.issuer.public_bytes())
        for older in before:
            if older.issuer == one.issuer and number(one) < number(older):
                raise BrokerProblem("list-older", f"{name}: {number(one)} after {number(older)}; {_REMEDY}")
    for subject, ca in issuers.items():
        if ca.issuer != ca.subject and subject not in covered:
            raise BrokerProblem("list-missing", f"no list of {ca.subject.rfc4514_string()}; {_REMEDY}")


def number(one: x509.CertificateRevocationList) -> int:
    """The CRL number (RFC 5280, 5.2.3); 0 when it has none."""
    try:
        return one.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0


def newest(found: Sequence[x509.CertificateRevocationList]) -> int:
    """The highest number of these, by which kits are told which lists are in force; each release has a higher
    one."""
    return max(map(number, found), default=0)


def revokes(lists: Sequence[x509.CertificateRevocationList], certificate: x509.Certificate) -> bool:
    """Whether one of `lists`, of the certificate's own issuer, names it."""
    return any(
        one.issuer == certificate.issuer
        and one.get_revoked_certificate_by_serial_number(int(serial_of(certificate), 16)) is not None
        for one in lists
    )


def shortest(lists: Sequence[x509.CertificateRevocationList], now: datetime) -> timedelta:
    """How long until the first of them runs out."""
    return min((one.next_update_utc or now) - now for one in lists)


def replace(path: Path, data: bytes) -> None:
    """Written beside, forced to disk, renamed: who reads it meanwhile sees the old one or the new one, whole.

    It keeps the rights of the file that it replaces, so that the broker can still read it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fchmod(out.fileno(), path.stat().st_mode & 0o777 if path.exists() else 0o644)
            os.fsync(out.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _signed_by(one: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    return isinstance(key, ec.EllipticCurvePublicKey) and one.is_signature_valid(key)
