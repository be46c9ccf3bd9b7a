"""What the authority hands the fleet: fresh revocation lists, the CAs, and canaries to try them out with.

One folder, each file written whole. `fresh.pem` is made and revoked for this release alone, so that it tells
the lists of this release from those before it; the other canaries are good kits that no fleet knows.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from protocol.access import CANARIES, FRESH
from provisioning.ca import Authority
from provisioning.durable import write_whole
from provisioning.register import Reason
from provisioning.rotation import links

KIT_ROLES = ("kit-tls", "kit-sign")
FRESH_DAYS = 2
LEAST_LIFE = timedelta(days=7)


def release(authority: Authority, folder: Path, kit_id: str = "", reason: Reason = "unspecified") -> int:
    """Write a release into `folder`, with every certificate of `kit_id` taken back; how many those were."""
    taken_back = 0
    for entry, gone in list(authority.issued()):
        if kit_id and entry.name == kit_id and entry.role in KIT_ROLES and not gone:
            authority.revoke(entry.serial, reason)
            taken_back += 1
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for canary in CANARIES:
        if not _lives(folder / f"{canary}.pem", authority):
            authority.issue("kit-tls", canary).write(folder, canary)
    fresh = authority.issue("kit-tls", FRESH, days=FRESH_DAYS)
    fresh.write(folder, "fresh")
    authority.revoke(f"{fresh.certificate.serial_number:x}", "superseded")
    authority.write_crls()
    write_whole(folder / "authorities.pem", authority.bundle("root", "kit", "server"))
    write_whole(folder / "kit-authorities.pem", authority.bundle("root", "kit"))
    write_whole(folder / "roots.pem", authority.bundle("root") + links(authority))
    write_whole(folder / "broker-lists.pem", authority.crls("kit", "server"))
    write_whole(folder / "kit-lists.pem", authority.crls("kit"))
    return taken_back


def _lives(path: Path, authority: Authority) -> bool:
    """Whether the canary in `path` has a week to go and is of this authority's present CA."""
    if not path.is_file():
        return False
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    ours = certificate.issuer == authority.certificate("kit").subject
    return ours and certificate.not_valid_after_utc > datetime.now(UTC) + LEAST_LIFE
