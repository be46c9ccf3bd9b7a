"""Sealing and durably storing an application, against AES-256-GCM and fsync of the same bytes.

The peer does the least that could be called safe: one pass of encryption, one file, one fsync of it and of
its folder. What the product does beyond that (post-quantum key agreement for two recipients, two signatures,
digests of every part, the packet read back, the transaction that destroys the visit's key, the log emptied)
is the price this measures.
"""

import os
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from device.vault.database import Database
from device.vault.store import OpenVault
from protocol.ids import new_ulid
from protocol.sealed import age
from protocol.sealed.manifest import Legal
from protocol.sealed.packet import Core, Part, Sealed, Signer, contents_of, kids_of, seal
from protocol.sealed.recipients import Recipient
from provisioning.ca import Authority

ROUNDS = 30
SIZES = {  # bytes, as a visit has them
    "identity.json": ("application/json", 900),
    "card-photo.jpg": ("image/jpeg", 4_000),
    "photo.jpg": ("image/jpeg", 260_000),
    "finger-right-index.png": ("image/png", 75_000),
    "finger-left-index.png": ("image/png", 75_000),
    "signature.svg": ("image/svg+xml", 14_000),
    "signature.png": ("image/png", 9_000),
    "application.json": ("application/json", 1_500),
}


@dataclass(frozen=True)
class SealingResult:
    """Medians in milliseconds, and how many times the peer's time ours is."""

    rounds: int
    bytes: int
    seal_ms: float
    store_ms: float
    ours_ms: float
    peer_ms: float
    ratio: float


class Kit:
    """A kit's keys, store and packet counter in `folder`, as far as sealing needs them."""

    def __init__(self, folder: Path) -> None:
        authority = Authority.create(folder / "ca", "Benchmark")
        kit, officer = authority.issue("kit-sign", "kit-bench"), authority.issue("officer", "an.bench")
        self.kit = Signer(kit.key, x509.load_pem_x509_certificates(kit.chain_pem))
        self.officer = Signer(officer.key, x509.load_pem_x509_certificates(officer.chain_pem))
        self.serial = f"{kit.certificate.serial_number:x}"
        self.recipients = [Recipient(kid=f"key-{n}", age1pq=age.generate()[1]) for n in (1, 2)]
        self.vault = OpenVault(Database(folder / "vault.db"), os.urandom(32))

    def seal(self, visit_id: str, parts: list[Part]) -> tuple[str, Sealed]:
        now, packet_id = datetime.now(UTC), new_ulid()
        seq, prev = self.vault.next_seq()
        core = Core(
            packet_id=packet_id,
            visit_id=visit_id,
            tenant="0999000162",
            service_id="be.eid.application",
            catalogue="0" * 64,
            kit_id="kit-bench",
            kit_cert_serial=self.serial,
            officer_id="an.bench",
            created_utc=f"{now:%Y-%m-%dT%H:%M:%SZ}",
            seq=seq,
            prev=prev,
            recipients=kids_of(self.recipients),
            contents=contents_of(parts),
            legal=Legal(reason="eid", retention_until=(now + timedelta(days=90)).date().isoformat()),
        )
        return packet_id, seal(parts, core, self.recipients, self.kit, self.officer)


def measure(folder: Path, rounds: int = ROUNDS) -> SealingResult:
    """Run both, turn about, in `folder`, which should lie on the disk that matters."""
    kit = Kit(folder)
    parts = [Part(name, kind, os.urandom(size)) for name, (kind, size) in SIZES.items()]
    plain = b"".join(part.data for part in parts)
    sealing, storing, peer = [], [], []
    for _ in range(rounds):
        visit_id = new_ulid()
        with kit.vault.database.transaction() as tx:
            kit.vault.new_visit_key(tx, visit_id)
        began = time.perf_counter()
        packet_id, sealed = kit.seal(visit_id, parts)
        done = time.perf_counter()
        with kit.vault.database.transaction() as tx:
            kit.vault.put_sealed(tx, packet_id, visit_id, sealed.data)
        stored = time.perf_counter()
        encrypt_and_sync(folder / "peer", plain)
        ended = time.perf_counter()
        sealing.append(done - began)
        storing.append(stored - done)
        peer.append(ended - stored)
    ours = statistics.median(a + b for a, b in zip(sealing, storing, strict=True))
    return SealingResult(
        rounds=rounds,
        bytes=len(plain),
        seal_ms=1000 * statistics.median(sealing),
        store_ms=1000 * statistics.median(storing),
        ours_ms=1000 * ours,
        peer_ms=1000 * statistics.median(peer),
        ratio=ours / statistics.median(peer),
    )


def encrypt_and_sync(path: Path, plain: bytes) -> None:
    """AES-256-GCM under a fresh key, one new file, fsync of it and of its folder."""
    nonce = os.urandom(12)
    sealed = AESGCM(AESGCM.generate_key(256)).encrypt(nonce, plain, None)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, nonce + sealed)
        os.fsync(handle)
    finally:
        os.close(handle)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
