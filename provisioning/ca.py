"""The fleet's own small authority: a root, an issuing CA for kits, officers and servers each, and their CRLs.

A folder holds it all: `root/`, `kit/`, `officer/`, `server/`, each with `certificate.pem`, `key.pem` (0600)
and, for the issuing ones, `register.json` and `crl.pem`. The root key is used by `init` alone; move
`root/key.pem` to a safe afterwards, everything but a new issuing CA goes on without it.

From the first day there is a second root beside it, in `generation-2/`, which everybody trusts and nobody
uses: `provisioning.rotation` makes it the present one without telling a single kit beforehand. While one
generation takes over from another, both are in every bundle and have their lists.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.identity import BadIdentity, Role
from protocol.signed import key_id
from provisioning.certificates import PROFILES, Branch, is_server, key_pem, leaf_certificate, pem
from provisioning.durable import write_secret, write_whole
from provisioning.generations import (
    BRANCHES,
    AuthorityError,
    Generations,
    make_issuing,
    make_root,
    new_root_key,
    place_of,
    private_key,
    read_generations,
    write_root,
)
from provisioning.register import Issued, Reason, Revoked, read_register, write_register

LONGEST_LIFE = timedelta(days=730)
CRL_LIFE = timedelta(days=30)  # past it mosquitto refuses everybody: long enough for an absent administrator


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
    """The authority kept in `folder`. Changes lock it: two programs cannot lose each other's entries.

    It issues from its present generation; bundles, lists and registers are of all that are in use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "root" / "certificate.pem").is_file():
            raise AuthorityError(f"no authority in {folder}: make one with `ca init`")

    @property
    def generations(self) -> Generations:
        return read_generations(self.folder)

    @property
    def home(self) -> Path:
        """Where the present generation lies."""
        return self.place(self.generations.present)

    def place(self, generation: int) -> Path:
        return place_of(self.folder, generation)

    @classmethod
    def create(cls, folder: Path, organisation: str) -> "Authority":
        """A new root and its issuing CAs. Refused when there is one already."""
        if (folder / "root").exists():
            raise AuthorityError(f"there is an authority in {folder} already")
        make_root(place_of(folder, 2), organisation, 2)
        root_key = new_root_key(folder)
        make_issuing(folder, organisation, 1, root_key)
        write_root(folder, organisation, 1, root_key)  # last: its presence says "whole"
        authority = cls(folder)
        authority.write_crls()
        return authority

    def certificate(self, ca: Branch | str, generation: int = 0) -> x509.Certificate:
        """The certificate of `root` or of an issuing CA, of the present generation or of another."""
        place = self.place(generation) if generation else self.home
        return x509.load_pem_x509_certificate((place / ca / "certificate.pem").read_bytes())

    def bundle(self, *cas: str) -> bytes:
        """The PEM certificates of these CAs, of all generations that are trusted, the present one first."""
        places = [self.place(generation) / ca for generation in self.generations.trusted for ca in cas]
        files = [place / "certificate.pem" for place in places]
        return b"".join(file.read_bytes() for file in files if file.is_file())

    def crls(self, *branches: Branch) -> bytes:
        """The PEM revocation lists of these issuing CAs (of all, when none is named), one after the other."""
        return b"".join(
            (self.place(generation) / branch / "crl.pem").read_bytes()
            for generation in self.generations.issuing
            for branch in branches or BRANCHES
        )

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
        present = self.generations.present
        issuer = self.certificate(profile.branch, present)
        # A leaf that outlived its CA would be refused one day for a reason that nobody sees in it.
        life = min(life, issuer.not_valid_after_utc - datetime.now(UTC))
        try:
            certificate = leaf_certificate(
                known, name, public_key, issuer, self._key(profile.branch, present), life, hosts
            )
        except BadIdentity as problem:
            raise AuthorityError(f"{name!r} is not a name for {role}") from problem
        with self.changing():
            path = self.register(present, profile.branch)
            register = read_register(path)
            entry = Issued(
                f"{certificate.serial_number:x}",
                role,
                name,
                certificate.not_valid_after_utc,
                key_id(public_key),
            )
            write_register(path, msgspec.structs.replace(register, issued=(*register.issued, entry)))
        return Certified(certificate, pem(certificate) + pem(issuer))

    def register(self, generation: int, branch: Branch) -> Path:
        return self.place(generation) / branch / "register.json"

    def revoke(self, serial: str, reason: Reason = "unspecified") -> Issued:
        """Take back the certificate with this serial (hex) and sign a new list at once. Twice is as once."""
        wanted = serial.strip().lower().removeprefix("0x").replace(":", "").lstrip("0")
        for generation in self.generations.issuing:
            for branch in BRANCHES:
                path = self.register(generation, branch)
                with self.changing():
                    register = read_register(path)
                    entry = register.find(wanted)
                    if entry is None:
                        continue
                    if not register.is_revoked(wanted):
                        revoked = (*register.revoked, Revoked(wanted, datetime.now(UTC), reason))
                        write_register(path, msgspec.structs.replace(register, revoked=revoked))
                self.write_crl(branch, generation)
                return entry
        raise AuthorityError(f"no certificate with serial {serial} was issued here")

    def issued(self, *generations: int) -> Iterator[tuple[Issued, bool]]:
        """Every certificate issued by these generations (by all in use, when none is named), with whether it
        was revoked."""
        for generation in generations or self.generations.issuing:
            for branch in BRANCHES:
                register = read_register(self.register(generation, branch))
                yield from ((entry, register.is_revoked(entry.serial)) for entry in register.issued)

    def write_crls(self) -> None:
        for generation in self.generations.issuing:
            for branch in BRANCHES:
                self.write_crl(branch, generation)

    def write_crl(self, branch: Branch, generation: int = 0) -> None:
        """Sign and write the list of one issuing CA, of the present generation or of another.

        It is read back and verified before it replaces the old one, because a broker that meets a broken list
        refuses every kit, or accepts every kit."""
        generation = generation or self.generations.present
        issuer, key = self.certificate(branch, generation), self._key(branch, generation)
        path = self.register(generation, branch)
        with self.changing():
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
            write_whole(path.with_name("crl.pem"), data)

    def _key(self, branch: Branch, generation: int) -> ec.EllipticCurvePrivateKey:
        return private_key(self.place(generation) / branch)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Nobody else changes this authority meanwhile; not to be entered twice."""
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
