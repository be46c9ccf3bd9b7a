"""A throwaway authority with certificates for every role, for tests that speak TLS."""

from dataclasses import dataclass
from pathlib import Path

from provisioning.ca import Authority

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

    def issue(self, role: str, name: str) -> Files:
        """A certificate for `role`; a server role gets the names of this machine's loopback."""
        stem = f"{role}-{name}"
        hosts = HOSTS if role in ("server", "broker", "service") else ()
        self.authority.issue(role, name, hosts).write(self.folder, stem)
        return Files(self.folder / f"{stem}.pem", self.folder / f"{stem}.key")
