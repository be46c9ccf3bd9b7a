"""What the answer to a supplement means for the application it belongs to, and what time does to one that
waits for its parts.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.lifecycle import ApplicationState, VisitState
from protocol.sealed.receipt import Receipt
from protocol.sealed.supplement import CODES
from server.db.tables import Application, Recapture, Request, Visit
from server.fleet import recaptures
from server.fleet.moving import move

LATE = "recapture-late"
_TO_PLAN = (VisitState.REQUESTED, VisitState.ABANDONED)
_AT_REST = (*_TO_PLAN, VisitState.CLOSED)  # closed by another visit, when the packet was sent on alone
_ON_ITS_WAY = (
    ApplicationState.SEALED,
    ApplicationState.UPLOADED,
    ApplicationState.FORWARDED,
    ApplicationState.STUCK,
)


def answered(
    db: Session, application: Application, receipt: Receipt, visit: Visit, now: datetime, *, counts: bool
) -> None:
    """After a packet was answered: ask for what the service wants anew; of a supplement, settle the whole.

    `visit` is the packet's own. Where the packet `counts` as it, this answer closed it, and its request can
    be planned for what is asked; else what is planned stays planned."""
    request = db.get_one(Request, visit.request_id, with_for_update=True)
    if receipt.verdict == "recapture":
        recaptures.ask(db, application, receipt, request.request_id, now)
        if counts:
            request.state = VisitState.REQUESTED
        if application.supplements is not None:
            _revive(db, application.supplements)
    elif says_nothing(application, receipt):
        if counts and recaptures.open_of(db, request.request_id) is not None:
            request.state = VisitState.REQUESTED
    elif application.supplements is not None:
        recaptures.close(db, application.supplements)
        for row in _revive(db, application.supplements):
            row.reason = receipt.code
            move(row, ApplicationState(receipt.verdict), now)


def says_nothing(application: Application, receipt: Receipt) -> bool:
    """Whether the service only says that the packet is no supplement of what it asked for: the application is
    where it was, and its parts are planned again while they are asked for."""
    return application.supplements is not None and receipt.code in CODES


def expire(db: Session, now: datetime) -> list[str]:
    """Applications whose service no longer waits while nobody has the parts: a whole visit is needed. Their
    packet ids. What has been planned or taken, and where a supplement is on its way (also one that a kit made
    at a visit it no longer had), is left alone: it may have been sealed in time."""
    coming = select(Application.supplements).where(
        Application.supplements.is_not(None), Application.state.in_(_ON_ITS_WAY)
    )
    due = select(Recapture, Request).join(Request, Request.request_id == Recapture.request_id)
    due = due.where(Recapture.state == "open", Recapture.until <= now, Request.state.in_(_AT_REST))
    due = due.where(Recapture.packet_id.not_in(coming)).with_for_update()  # somebody may plan it just now
    found = []
    for asked, request in db.execute(due).all():
        asked.state = "late"
        if request.state in _TO_PLAN:
            request.state = VisitState.ABANDONED
        for row in _waiting(db, asked.packet_id):
            if row.state == ApplicationState.RECAPTURE:
                row.reason = LATE
                move(row, ApplicationState.EXPIRED, now)
        found.append(asked.packet_id)
    return found


def _revive(db: Session, packet_id: str) -> Sequence[Application]:
    """What `_waiting` finds, all of it waiting: what was given up was sealed in time after all."""
    rows = _waiting(db, packet_id)
    for row in rows:
        if row.state == ApplicationState.EXPIRED:
            row.state, row.reason = ApplicationState.RECAPTURE, ""
    return rows


def _waiting(db: Session, packet_id: str) -> Sequence[Application]:
    """The application and its supplements, as far as parts were asked for and nothing was said since; what
    was given up as too late may have been sealed in time after all."""
    family = (Application.packet_id == packet_id) | (Application.supplements == packet_id)
    late = (Application.state == ApplicationState.EXPIRED) & (Application.reason == LATE)
    query = select(Application).where(family, (Application.state == ApplicationState.RECAPTURE) | late)
    return db.scalars(query.order_by(Application.packet_id).with_for_update()).all()
