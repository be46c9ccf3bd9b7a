"""A throwaway authority with certificates for every role, for tests that speak TLS."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from provisioning.ca import Authority
from provisioning.certificates import pem
from provisioning.generations import BRANCHES, private_key

YEAR = timedelta(days=365)
HOSTS = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Files:
    """PEM files: the leaf and its issuing CA, and the key."""

    certificate: Path
    key: Path


class Pki:
    """`roots`: the root alone; `clients`: root and the issuing CAs of `kit-tls` and `ingest`; `revoked`: the
    lists of those two."""

    def __init__(self, folder: Path, name: str = "Testfleet") -> None:
        self.folder = folder
        self.authority = Authority.create(folder / "ca", name)
        self._make_older()
        self.roots = folder / "roots.pem"
        self.clients = folder / "clients.pem"
        self.revoked = folder / "revoked.pem"
        self.roots.write_bytes(self.authority.bundle("root"))
        self.clients.write_bytes(self.authority.bundle("root", "kit", "server"))
        self.write_revoked()

    def write_revoked(self) -> None:
        self.revoked.write_bytes(self.authority.crls("kit", "server"))

    def issue_aged(self, role: str, name: str, begins: timedelta, ends: timedelta) -> Files:
        """As `issue`, with a life from `begins` to `ends`, both from now (negative: past)."""
        files, now = self.issue(role, name), datetime.now(UTC).replace(microsecond=0)
        young, issuer = x509.load_pem_x509_certificates(files.certificate.read_bytes())
        place = self.authority.place(self.authority.generations.present)
        (ca,) = (place / branch for branch in BRANCHES if _is_of(issuer, place / branch))
        files.certificate.write_bytes(_again(young, ca, now + begins, now + ends) + pem(issuer))
        return files

    def _make_older(self) -> None:
        """As if the authority were there since last year: kits' certificates may have ended by now."""
        root, began = self.authority.place(1) / "root", datetime.now(UTC).replace(microsecond=0) - YEAR
        for branch in ("root", *BRANCHES):
            path = self.authority.place(1) / branch / "certificate.pem"
            old = x509.load_pem_x509_certificate(path.read_bytes())
            path.write_bytes(_again(old, root, began, old.not_valid_after_utc))

    def issue(self, role: str, name: str) -> Files:
        """A certificate for `role`; a server role gets the names of this machine's loopback."""
        stem = f"{role}-{name}"
        hosts = HOSTS if role in ("server", "broker", "service") else ()
        self.authority.issue(role, name, hosts).write(self.folder, stem)
        return Files(self.folder / f"{stem}.pem", self.folder / f"{stem}.key")


def _is_of(certificate: x509.Certificate, ca: Path) -> bool:
    return x509.load_pem_x509_certificate((ca / "certificate.pem").read_bytes()) == certificate


def _again(old: x509.Certificate, ca: Path, begins: datetime, ends: datetime) -> bytes:
    """The same certificate with another life, PEM, signed by the CA in the folder `ca`."""
    builder = (
        x509.CertificateBuilder(extensions=list(old.extensions))
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(old.serial_number)  # the register knows it
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    return pem(builder.sign(private_key(ca), hashes.SHA384()))
