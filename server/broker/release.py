"""What the authority hands the fleet with new revocation lists: the lists, the CAs, and canaries to try them
with.

A folder, written by `thuisloket-provision ca release`. `fresh.pem` is a certificate made for this release
alone and revoked in it: it gets in under the old lists and not under the new ones, so it tells them apart.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from protocol import access
from server.broker.link import Identity
from server.broker.problem import BrokerProblem

SIGN_S = 60.0


@dataclass(frozen=True)
class Release:
    """The release in `folder`."""

    folder: Path

    def read(self, name: str) -> bytes:
        """A file of the release by its name. BrokerProblem no-release."""
        try:
            return (self.folder / name).read_bytes()
        except OSError as problem:
            raise BrokerProblem(
                "no-release",
                f"{self.folder / name}: {problem.strerror}; run `thuisloket-provision ca release`",
            ) from problem

    @property
    def fresh(self) -> Identity:
        """Revoked in this release, and not before."""
        return self._identity(access.FRESH, "fresh")

    @property
    def canaries(self) -> tuple[Identity, Identity]:
        """Two that are good."""
        one, two = access.CANARIES
        return self._identity(one, one), self._identity(two, two)

    def certificate(self, who: Identity) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.read(who.certificate.name))

    def _identity(self, name: str, stem: str) -> Identity:
        return Identity(name, self.folder / f"{stem}.pem", self.folder / f"{stem}.key")


def sign(authority: Path, folder: Path, kit_id: str, reason: str) -> Release:
    """Let the authority on this machine make a release in `folder`, with the certificates of `kit_id`
    revoked.

    BrokerProblem not-signed with what the authority complained of."""
    command = [sys.executable, "-m", "provisioning", "ca", "release"]
    command += ["--ca", str(authority), "--out", str(folder)]
    if kit_id:
        command += ["--kit", kit_id, "--reason", reason]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=SIGN_S, check=False)
    except subprocess.TimeoutExpired as problem:
        raise BrokerProblem("not-signed", f"the authority in {authority} took too long") from problem
    if ran.returncode:
        raise BrokerProblem("not-signed", f"the authority in {authority}: {ran.stderr.strip()[-500:]}")
    return Release(folder)
