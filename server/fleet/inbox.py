"""What waits for a kit: a newer day bag, and receipts it has not yet confirmed to hold."""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from server.db.tables import Application, Kit
from server.fleet.blobs import BlobStore

MOST_RECEIPTS = 50  # an answer stays small on a bad link; the rest comes with the next


@dataclass(frozen=True)
class Waiting:
    bag: tuple[int, bytes] | None = field(repr=False)
    receipts: tuple[str, ...] = field(repr=False)


def waiting(db: Session, blobs: BlobStore, kit: Kit, held: int) -> Waiting:
    """For a kit that holds bag version `held`. A kit that claims a newer bag than ours gets ours."""
    bag = None
    if kit.lost is None and kit.bag_sha256 is not None and held != kit.bag_version:
        # Replaced while we looked: the doorbell of the new one rings in a moment.
        with suppress(FileNotFoundError):
            bag = (kit.bag_version, blobs.read(kit.bag_sha256))
    tokens = db.scalars(
        select(Application.receipt)
        .where(
            Application.kit_id == kit.kit_id,
            Application.receipt.is_not(None),
            Application.receipt_on_kit.is_(None),
        )
        .order_by(Application.answered)
        .limit(MOST_RECEIPTS)
    )
    return Waiting(bag, tuple(token for token in tokens if token is not None))


def confirm(db: Session, kit_id: str, packet_ids: list[str], now: datetime) -> None:
    """The receipts of these packets are on the kit's disk; ids of other kits' packets change nothing."""
    db.execute(
        update(Application)
        .where(
            Application.kit_id == kit_id,
            Application.packet_id.in_(packet_ids),
            Application.receipt.is_not(None),
            Application.receipt_on_kit.is_(None),
        )
        .values(receipt_on_kit=now)
    )
