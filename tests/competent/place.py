"""A competent service's desk for tests: its key folder, its trust folder, and packets sealed to it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from competent.keys import IDENTITIES, make_keys
from competent.trust import read_identities
from protocol.instant import write_instant
from protocol.sealed import age
from protocol.sealed.packet import Sealed
from protocol.sealed.recipients import Recipient
from tests.protocol.certificates import Holder
from tests.protocol.sealed.application import PARTS, World, build_world

NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Desk:
    folder: Path
    world: World

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def trust(self) -> Path:
        return self.folder / "trust"

    def packet(self, **changes: object) -> Sealed:
        return self.world.packet(PARTS, **({"created_utc": write_instant(NOW)} | changes))

    def file(self, sealed: Sealed) -> Path:
        path = self.folder / f"{sealed.manifest.packet_id}.packet"
        path.write_bytes(sealed.data)
        return path


def build_desk(folder: Path, around: World | None = None) -> Desk:
    world = around or build_world()
    make_keys(folder / "keys", "be.ibz.belpic", NOW, timedelta(days=30))
    identities = tuple(read_identities(folder / "keys" / name)[0] for name in IDENTITIES)
    recipients = tuple(
        Recipient(kid=f"k-{at}", age1pq=age.recipient_of(identity)) for at, identity in enumerate(identities)
    )
    (folder / "trust").mkdir()
    (folder / "trust" / "root.pem").write_bytes(world.root.certificate.public_bytes(Encoding.PEM))
    return Desk(folder, replace(world, recipients=recipients, identities=identities))


def write_holder(holder: Holder, certificate: Path, key: Path, *issuers: Holder) -> None:
    pem = [one.certificate.public_bytes(Encoding.PEM) for one in (holder, *issuers)]
    certificate.write_bytes(b"".join(pem))
    key.write_bytes(holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
