"""A throwaway authority with certificates for every role, for tests that speak TLS."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from provisioning.ca import Authority
from provisioning.certificates import pem
from provisioning.generations import private_key

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
        self.roots = folder / "roots.pem"
        self.clients = folder / "clients.pem"
        self.revoked = folder / "revoked.pem"
        self.roots.write_bytes(self.authority.bundle("root"))
        self.clients.write_bytes(self.authority.bundle("root", "kit", "server"))
        self.write_revoked()

    def write_revoked(self) -> None:
        self.revoked.write_bytes(self.authority.crls("kit", "server"))

    def issue_aged(self, role: str, name: str, begins: timedelta, ends: timedelta) -> Files:
        """As `issue` for a kit, with a life from `begins` to `ends`, both from now (negative: past)."""
        files, now = self.issue(role, name), datetime.now(UTC).replace(microsecond=0)
        young = x509.load_pem_x509_certificates(files.certificate.read_bytes())
        present = self.authority.generations.present
        builder = (
            x509.CertificateBuilder(extensions=list(young[0].extensions))
            .subject_name(young[0].subject)
            .issuer_name(young[0].issuer)
            .public_key(young[0].public_key())
            .serial_number(young[0].serial_number)  # the register knows it
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
        )
        aged = builder.sign(private_key(self.authority.place(present) / "kit"), hashes.SHA384())
        files.certificate.write_bytes(pem(aged) + pem(young[1]))
        return files

    def issue(self, role: str, name: str) -> Files:
        """A certificate for `role`; a server role gets the names of this machine's loopback."""
        stem = f"{role}-{name}"
        hosts = HOSTS if role in ("server", "broker", "service") else ()
        self.authority.issue(role, name, hosts).write(self.folder, stem)
        return Files(self.folder / f"{stem}.pem", self.folder / f"{stem}.key")
