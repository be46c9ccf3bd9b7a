"""The fleet's own small authority: a root, an issuing CA for kits, officers and servers each, and their CRLs.

A folder holds it all: `root/`, `kit/`, `officer/`, `server/`, each with `certificate.pem`, `key.pem` (0600)
and, for the issuing ones, `register.json` and `crl.pem`. The root key is used by `init` alone; move
`root/key.pem` to a safe afterwards, everything but a new issuing CA goes on without it.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.identity import BadIdentity, Role
from provisioning.certificates import (
    PROFILES,
    Branch,
    authority_certificate,
    is_server,
    key_pem,
    leaf_certificate,
    pem,
)
from provisioning.durable import write_secret, write_whole
from provisioning.register import Issued, Reason, Revoked, read_register, write_register

BRANCHES: tuple[Branch, ...] = get_args(Branch)
ROOT_YEARS = 20
ISSUING_YEARS = 5
LONGEST_LIFE = timedelta(days=730)
CRL_LIFE = timedelta(days=30)  # past it mosquitto refuses everybody: long enough for an absent administrator


class AuthorityError(Exception):
    """The authority was asked for something it does not do; the message says what and is fit for a person."""


@dataclass(frozen=True)
class Certified:
    """A certificate with the CA that issued it (`chain_pem`: what a TLS party presents)."""

    certificate: x509.Certificate
    chain_pem: bytes

    def write(self, folder: Path, stem: str) -> None:
        """`stem.pem` (leaf, then issuing CA) in `folder`."""
        write_whole(folder / f"{stem}.pem", self.chain_pem)


@dataclass(frozen=True)
class Leaf(Certified):
    """One whose key was made with it."""

    key: ec.EllipticCurvePrivateKey

    def write(self, folder: Path, stem: str) -> None:
        """`stem.pem` (leaf, then issuing CA) and `stem.key` (0600) in `folder`."""
        write_secret(folder / f"{stem}.key", key_pem(self.key))
        super().write(folder, stem)


class Authority:
    """The authority kept in `folder`. Changes lock it: two programs cannot lose each other's entries."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "root" / "certificate.pem").is_file():
            raise AuthorityError(f"no authority in {folder}: make one with `ca init`")

    @classmethod
    def create(cls, folder: Path, organisation: str) -> "Authority":
        """A new root and its issuing CAs. Refused when there is one already."""
        if (folder / "root").exists():
            raise AuthorityError(f"there is an authority in {folder} already")
        root_key = ec.generate_private_key(ec.SECP384R1())
        root_name = _ca_name(organisation, "root")
        root = authority_certificate(root_name, root_key.public_key(), root_name, root_key, ROOT_YEARS, 1)
        for branch in BRANCHES:
            key = ec.generate_private_key(ec.SECP384R1())
            certificate = authority_certificate(
                _ca_name(organisation, branch), key.public_key(), root_name, root_key, ISSUING_YEARS, 0
            )
            write_secret(folder / branch / "key.pem", key_pem(key))
            write_whole(folder / branch / "certificate.pem", pem(certificate))
        write_secret(folder / "root" / "key.pem", key_pem(root_key))
        write_whole(folder / "root" / "certificate.pem", pem(root))  # last: its presence says "whole"
        authority = cls(folder)
        authority.write_crls()
        return authority

    def certificate(self, ca: Branch | str) -> x509.Certificate:
        """The certificate of `root` or of an issuing CA."""
        return x509.load_pem_x509_certificate((self.folder / ca / "certificate.pem").read_bytes())

    def bundle(self, *cas: str) -> bytes:
        """The PEM certificates of these CAs, one after the other."""
        return b"".join((self.folder / ca / "certificate.pem").read_bytes() for ca in cas)

    def crls(self, *branches: Branch) -> bytes:
        """The PEM revocation lists of these issuing CAs (of all, when none is named), one after the other."""
        return b"".join((self.folder / branch / "crl.pem").read_bytes() for branch in branches or BRANCHES)

    def issue(self, role: str, name: str, hosts: Sequence[str] = (), days: int | None = None) -> Leaf:
        """A new P-256 key and its certificate. A server role needs `hosts`, the others have none."""
        key = ec.generate_private_key(ec.SECP256R1())
        certified = self.certify(role, name, key.public_key(), hosts, days)
        return Leaf(certified.certificate, certified.chain_pem, key)

    def certify(
        self,
        role: str,
        name: str,
        public_key: ec.EllipticCurvePublicKey,
        hosts: Sequence[str] = (),
        days: int | None = None,
    ) -> Certified:
        """A certificate for a key that stays where it is; as `issue`."""
        if not isinstance(public_key.curve, ec.SECP256R1):
            raise AuthorityError(f"the key for {role} is not on P-256")
        try:
            known = Role(role)
        except ValueError:
            raise AuthorityError(f"unknown role {role!r}: one of {', '.join(Role)}") from None
        if is_server(known) != bool(hosts):
            wanted = "needs" if is_server(known) else "takes no"
            raise AuthorityError(f"a certificate for {role} {wanted} host names")
        profile = PROFILES[known]
        life = timedelta(days=days if days is not None else profile.days)
        if not timedelta(0) < life <= LONGEST_LIFE:
            raise AuthorityError(f"a certificate lives between 1 and {LONGEST_LIFE.days} days")
        issuer = self.certificate(profile.branch)
        try:
            certificate = leaf_certificate(
                known, name, public_key, issuer, self._key(profile.branch), life, hosts
            )
        except BadIdentity as problem:
            raise AuthorityError(f"{name!r} is not a name for {role}") from problem
        with self._changing():
            path = self.folder / profile.branch / "register.json"
            register = read_register(path)
            entry = Issued(f"{certificate.serial_number:x}", role, name, certificate.not_valid_after_utc)
            write_register(path, msgspec.structs.replace(register, issued=(*register.issued, entry)))
        return Certified(certificate, pem(certificate) + pem(issuer))

    def revoke(self, serial: str, reason: Reason = "unspecified") -> Issued:
        """Take back the certificate with this serial (hex) and sign a new list at once. Twice is as once."""
        wanted = serial.strip().lower().removeprefix("0x").replace(":", "").lstrip("0")
        for branch in BRANCHES:
            path = self.folder / branch / "register.json"
            with self._changing():
                register = read_register(path)
                entry = register.find(wanted)
                if entry is None:
                    continue
                if not register.is_revoked(wanted):
                    revoked = (*register.revoked, Revoked(wanted, datetime.now(UTC), reason))
                    write_register(path, msgspec.structs.replace(register, revoked=revoked))
            self.write_crl(branch)
            return entry
        raise AuthorityError(f"no certificate with serial {serial} was issued here")

    def issued(self) -> Iterator[tuple[Issued, bool]]:
        """Every certificate issued, with whether it was revoked."""
        for branch in BRANCHES:
            register = read_register(self.folder / branch / "register.json")
            yield from ((entry, register.is_revoked(entry.serial)) for entry in register.issued)

    def write_crls(self) -> None:
        for branch in BRANCHES:
            self.write_crl(branch)

    def write_crl(self, branch: Branch) -> None:
        """Sign and write the list of one issuing CA. It is read back and verified before it replaces the old
        one, because a broker that meets a broken list refuses every kit, or accepts every kit."""
        issuer, key = self.certificate(branch), self._key(branch)
        path = self.folder / branch / "register.json"
        with self._changing():
            register = read_register(path)
            now = datetime.now(UTC).replace(microsecond=0)
            builder = (
                x509.CertificateRevocationListBuilder()
                .issuer_name(issuer.subject)
                .last_update(now - timedelta(minutes=5))
                .next_update(now + CRL_LIFE)
                .add_extension(x509.CRLNumber(register.crl_number + 1), critical=False)
                .add_extension(
                    x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
                )
            )
            for entry in register.revoked:
                builder = builder.add_revoked_certificate(_revoked(entry))
            signed = builder.sign(key, hashes.SHA384())
            data = signed.public_bytes(serialization.Encoding.PEM)
            if not x509.load_pem_x509_crl(data).is_signature_valid(issuer_public(issuer)):
                raise AuthorityError(
                    f"the new revocation list of {branch} does not verify; the old one stays"
                )
            write_register(path, msgspec.structs.replace(register, crl_number=register.crl_number + 1))
            write_whole(self.folder / branch / "crl.pem", data)

    def _key(self, branch: Branch) -> ec.EllipticCurvePrivateKey:
        key = serialization.load_pem_private_key((self.folder / branch / "key.pem").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise AuthorityError(f"the key of {branch} is not an elliptic curve key")
        return key

    @contextmanager
    def _changing(self) -> Iterator[None]:
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def issuer_public(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    """The public key of one of our CAs; they are all elliptic curve keys."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise AuthorityError("a CA of this authority has a key that is not an elliptic curve key")
    return key


def _ca_name(organisation: str, which: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(x509.oid.NameOID.ORGANIZATION_NAME, "Thuisloket"),
            x509.NameAttribute(x509.oid.NameOID.ORGANIZATIONAL_UNIT_NAME, "authority"),
            x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, f"{organisation} {which} CA"[:64]),
        ]
    )


def _revoked(entry: Revoked) -> x509.RevokedCertificate:
    reasons = {
        "key-compromise": x509.ReasonFlags.key_compromise,
        "superseded": x509.ReasonFlags.superseded,
        "cessation-of-operation": x509.ReasonFlags.cessation_of_operation,
    }
    builder = x509.RevokedCertificateBuilder().serial_number(int(entry.serial, 16)).revocation_date(entry.at)
    if entry.reason in reasons:  # RFC 5280, 5.3.1: "unspecified" is said by leaving the extension out
        builder = builder.add_extension(x509.CRLReason(reasons[entry.reason]), critical=False)
    return builder.build()
