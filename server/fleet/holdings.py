"""What kits hold of citizens, by the fleet's own book: it begins with what a kit reports and ends with the
kit's signed certificate that it was destroyed. From it follows how old the oldest biometric in the fleet is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from protocol.deletion import Deletion
from protocol.ids import ulid_time
from protocol.instant import read_instant
from server.db.tables import Application, Holding, Visit
from server.db.turns import take_turn
from server.fleet import incidents

HARD_LIMIT = timedelta(days=90)  # Regulation (EU) 2025/1208, article 10


def begun(db: Session, visit: Visit, kit_id: str, packet_id: str, since: datetime, now: datetime) -> None:
    """The kit holds captures of this visit, or (with a packet id) its sealed packet, since then by its clock.

    A clock that is wrong cannot date it before the visit was planned, nor after now. Once."""
    take_turn(db, f"holding {visit.visit_id}")
    if db.get(Holding, (kit_id, visit.visit_id, packet_id)) is None:
        since = min(max(since, ulid_time(visit.visit_id)), now)
        _add(db, visit, kit_id, packet_id, since)


def ended(db: Session, visit: Visit, deletion: Deletion, token: str, now: datetime) -> None:
    """The kit's certificate `token` says that it is gone. The first certificate stays."""
    take_turn(db, f"holding {visit.visit_id}")
    row = db.get(Holding, (deletion.kit_id, visit.visit_id, deletion.packet_id), with_for_update=True)
    if row is None:
        row = _add(db, visit, deletion.kit_id, deletion.packet_id, now)
    if row.ended is None:
        row.ended = min(max(read_instant(deletion.at), row.since), now)
        row.why, row.certificate = deletion.why, token


def watch(db: Session, now: datetime) -> None:
    """An incident for everything that a kit should have destroyed by now and has not told of."""
    old = select(Holding).where(Holding.ended.is_(None), Holding.since <= now - HARD_LIMIT)
    for row in db.scalars(old):
        what = "packet" if row.packet_id else "captures"
        incidents.report(db, row.kit_id, "overdue", row.packet_id or row.visit_id, what, now)


@dataclass(frozen=True)
class Oldest:
    """Since when, by kit, and for what lies sealed with the fleet itself. None or absent: nothing."""

    kits: Mapping[str, datetime]
    here: datetime | None

    def by_kit(self, drafts: Mapping[str, datetime]) -> dict[str, datetime]:
        """For each kit that holds anything, by our book or by its own word."""
        return {
            kit_id: min(one[kit_id] for one in (self.kits, drafts) if kit_id in one)
            for kit_id in {*self.kits, *drafts}
        }

    def since(self, drafts: Mapping[str, datetime]) -> datetime | None:
        """The oldest of all; `drafts`: what kits themselves say of visits that are not finished."""
        found = [*self.kits.values(), *drafts.values(), *([self.here] if self.here else [])]
        return min(found, default=None)


def oldest(db: Session) -> Oldest:
    """In the scope of the session."""
    held = select(Holding.kit_id, func.min(Holding.since)).where(Holding.ended.is_(None))
    copies = select(func.min(Application.created)).where(Application.blob_sha256.is_not(None))
    by_kit = dict(db.execute(held.group_by(Holding.kit_id)).all())
    return Oldest(by_kit, db.scalar(copies))


def _add(db: Session, visit: Visit, kit_id: str, packet_id: str, since: datetime) -> Holding:
    row = Holding(
        kit_id=kit_id,
        visit_id=visit.visit_id,
        packet_id=packet_id,
        tenant=visit.tenant,
        since=since,
        why="",
        certificate="",
    )
    db.add(row)
    db.flush()
    return row
