"""A kit's vault for tests: database, key source, gate and officers with real certificates."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from device.vault.database import Database
from device.vault.gate import Gate
from device.vault.keysource import FileKeySource
from device.vault.store import OpenVault, Store
from protocol.identity import Role
from protocol.sealed.packet import Sealed, Signer
from protocol.sealed.written import Written, named
from tests.protocol.certificates import leaf
from tests.protocol.sealed.application import World, build_world

WORLD = build_world()
OFFICER = "an.peeters"
PIN = "482915"


@dataclass
class HandClock:
    """A clock that goes where the test sets it."""

    wall: datetime = datetime(2026, 11, 23, 9, tzinfo=UTC)
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Kit:
    folder: Path
    database: Database
    source: FileKeySource
    gate: Gate
    clock: HandClock
    world: World = field(default_factory=lambda: WORLD)

    def unlock(self, officer: str = OFFICER, pin: str = PIN) -> OpenVault:
        return self.gate.unlock(officer, pin)

    def reopen(self) -> "Kit":
        """As after a restart: everything anew from the files; the monotonic clock starts over."""
        self.database.close()
        clock = HandClock(seconds=0.0)
        database = Database(self.database.path)
        return Kit(self.folder, database, self.source, Gate(database, self.source, clock), clock)

    def bytes_on_disk(self) -> bytes:
        """Everything in the vault's files: database, log and shared memory."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("vault.db*")))


def put_packet(store: Store, sealed: Sealed, visit_id: str = "") -> None:
    """A packet that was made elsewhere, onto the shelf as the agent does it: the file first, then its row."""
    manifest = sealed.manifest
    with store.create(manifest.packet_id) as file:
        file.begin(sealed.data)
        written = Written(named(manifest), sealed.manifest_sha256, len(sealed.data), file.finish)
        with store.database.transaction() as tx:
            store.put_sealed(tx, manifest.packet_id, visit_id or manifest.visit_id, written)


@contextmanager
def small_files(most: int) -> Iterator[None]:
    """The disk refuses what lies beyond so many bytes of any file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def pem_of(signer: Signer) -> tuple[bytes, bytes]:
    key = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key, b"".join(one.public_bytes(Encoding.PEM) for one in signer.chain)


def second_officer(name: str = "jan.claes") -> Signer:
    holder = leaf(Role.OFFICER, name, WORLD.officer_ca)
    return Signer(holder.key, [holder.certificate, WORLD.officer_ca.certificate])


def build_kit(folder: Path) -> Kit:
    database = Database(folder / "vault.db")
    source = FileKeySource.create(folder / "device-secret")
    clock = HandClock()
    gate = Gate(database, source, clock)
    gate.add_officer(gate.create(), OFFICER, "An Peeters", PIN, *pem_of(WORLD.officer_signer))
    return Kit(folder, database, source, gate, clock)
