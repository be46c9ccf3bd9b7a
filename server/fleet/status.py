"""What a citizen may learn with her code: where her request stands, in a word, and nothing else."""

from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.lifecycle import ApplicationState, VisitState
from server.auth import throttle
from server.db.tables import Application, Request
from server.fleet import custody, recaptures, requests, visits
from server.fleet.refused import Refused

State = Literal[
    "received",
    "planned",
    "not-visited",
    "visiting",
    "visited",
    "sent",
    "again",
    "again-planned",
    "accepted",
    "rejected",
]
TRIES, WINDOW = 20, timedelta(minutes=15)


def ask(db: Session, code: str, place: str, now: datetime) -> State | None:
    """The state behind `code`, None when there is none. `place`: the caller's address, for counting tries.

    Refused throttled. `db` is a writing session for everyone."""
    if not throttle.take(db, "status", place, TRIES, WINDOW, now):
        raise Refused("throttled")
    request = requests.of_code(db, code)
    if request is None:
        return None
    if request.merged_into is not None:
        return "received"  # of a request that was added to another, the other's course is not told
    if recaptures.open_of(db, request.request_id) is not None:
        if visits.plannable(request):
            return "again"
        if request.state == VisitState.PLANNED:
            return "again-planned"
    if request.state == VisitState.REQUESTED:
        return "received"
    if request.state == VisitState.PLANNED:
        return "planned"
    states = _applications(db, request)
    if ApplicationState.ACCEPTED in states:
        return "accepted"
    if ApplicationState.REJECTED in states:
        return "rejected"
    if ApplicationState.EXPIRED in states:
        return "not-visited"  # there is nothing of that visit any more
    if states - {ApplicationState.SEALED}:
        return "sent"
    if request.state == VisitState.OPENED and not states:
        return "visiting"
    return "not-visited" if request.state == VisitState.ABANDONED else "visited"


def way(db: Session, code: str) -> list[tuple[str, datetime]]:
    """What has happened to the sealed application so far, by step (protocol.custody.Name) and time."""
    request = requests.of_code(db, code)
    if request is None or request.merged_into is not None:
        return []
    last = visits.of_request(db, request.request_id)[:1]
    query = select(Application.packet_id).where(Application.visit_id.in_([visit.visit_id for visit in last]))
    newest = db.scalar(query.order_by(Application.packet_id.desc()).limit(1))
    return custody.told(db, newest) if newest is not None else []


def _applications(db: Session, request: Request) -> set[str]:
    """The states of what the last visit brought."""
    last = visits.of_request(db, request.request_id)[:1]
    query = select(Application.state).where(Application.visit_id.in_([visit.visit_id for visit in last]))
    return set(db.scalars(query))
