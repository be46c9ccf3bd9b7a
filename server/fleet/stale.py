"""Whether a kit still has the visit it speaks of; and keeping what it did when it no longer had.

A kit works from its day bag, perhaps offline: meanwhile the visit may have been taken back, given to another
kit, or done. What it did is never refused and never lost: no citizen is visited twice because of that. A
person decides (server/fleet/quarantine.py).
"""

from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.ids import new_ulid
from protocol.lifecycle import ApplicationState, VisitState
from server.db.tables import Application, Quarantined, Visit
from server.fleet import kits, outbox, visits

_NOT_DONE = (
    ApplicationState.SEALED,
    ApplicationState.EXPIRED,
    ApplicationState.REJECTED,
    ApplicationState.RECAPTURE,
)

Why = Literal["other-kit", "withdrawn", "old-epoch", "done-already", "kit-moved-on"]


def why(db: Session, visit: Visit, kit_id: str, epoch: int | None, packet_id: str = "") -> Why | None:
    """Why this kit no longer has this visit; None when it does. `epoch`: None where the kit has not said."""
    if visit.kit_id != kit_id:
        return "other-kit"
    if not kits.serves(db, kit_id, visit.tenant):
        return "kit-moved-on"
    if (visit.state, visit.reason) == (VisitState.ABANDONED, visits.UNASSIGNED):
        return "withdrawn"
    if epoch is not None and epoch < visit.epoch:
        return "old-epoch"
    if packet_id and _done_by_another(db, visit, packet_id):
        return "done-already"
    return None


def keep(
    db: Session,
    visit: Visit,
    kit_id: str,
    why_: Why,
    epoch: int,
    state: VisitState,
    now: datetime,
    *,
    reason: str = "",
    packet_id: str = "",
) -> None:
    """Keep it for somebody to decide. Its kit still shows where it is, in the list of the day."""
    if why_ != "kit-moved-on":
        outbox.put_once(db, "bag", kit_id, now)
    db.add(
        Quarantined(
            item_id=new_ulid(),
            tenant=visit.tenant,
            visit_id=visit.visit_id,
            kit_id=kit_id,
            packet_id=packet_id,
            state=state,
            reason=reason,
            why=why_,
            epoch=epoch,
            received=now,
            decision="",
            decided_by="",
        )
    )


def _done_by_another(db: Session, visit: Visit, packet_id: str) -> bool:
    query = select(Application.packet_id).where(
        Application.visit_id == visit.visit_id,
        Application.packet_id != packet_id,
        Application.state.not_in(_NOT_DONE),
    )
    return db.scalar(query.limit(1)) is not None
