"""Visits: planned for a request, given to an officer and a kit, moved on by what the kit reports."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from protocol.ids import new_ulid
from protocol.lifecycle import VisitState
from server.auth.roles import Actor
from server.db.tables import Booking, Kit, Officer, Request, Visit
from server.fleet import abilities, kits, obstacles, outbox, recaptures
from server.fleet.refused import Refused

ZONE = ZoneInfo("Europe/Brussels")
SHORTEST, LONGEST = 10, 240  # minutes
UNASSIGNED = "unassigned"
_RANK = {VisitState.PLANNED: 1, VisitState.OPENED: 2, VisitState.SEALED: 3, VisitState.CLOSED: 4}


def plan(
    db: Session,
    actor: Actor,
    request_id: str,
    officer_id: str,
    kit_id: str,
    starts: datetime,
    minutes: int,
    now: datetime,
) -> Visit:
    """Give a request to an officer and a kit at a time. Refused: not-allowed, unknown-request,
    request-not-open, unknown-officer, unknown-kit, bad-minutes, in-the-past, after-deadline, kit-too-old,
    officer-taken, kit-taken, and what `obstacles.STOPS` names. Where the service wants parts anew it is a
    short visit, for these alone; a kit that said that it cannot read one is not given it."""
    if not actor.may("plan"):
        raise Refused("not-allowed")
    request = db.get(Request, request_id, with_for_update=True)
    if request is None:
        raise Refused("unknown-request")
    if not plannable(request):
        raise Refused("request-not-open")
    # The rows are locked, so that two planners of two municipalities cannot take the same kit at once.
    officer = db.get(Officer, officer_id, with_for_update=True)
    if officer is None or officer.tenant != request.tenant:
        raise Refused("unknown-officer")
    kit = db.get(Kit, kit_id, with_for_update=True)
    if kit is None or kit.retired is not None or not kits.serves(db, kit_id, request.tenant):
        raise Refused("unknown-kit")
    if not SHORTEST <= minutes <= LONGEST:
        raise Refused("bad-minutes")
    if local_day(starts) < local_day(now):
        raise Refused("in-the-past")
    ends = starts + timedelta(minutes=minutes)
    asked = recaptures.open_of(db, request_id)
    if asked is not None and ends > asked.until:
        raise Refused("after-deadline")
    if abilities.reading(kit, short=asked is not None) == "kit-too-old":
        raise Refused("kit-too-old")
    _passable(db, kit, officer_id, starts, ends, now)
    for resource, code in ((f"officer:{officer_id}", "officer-taken"), (f"kit:{kit_id}", "kit-taken")):
        if _taken(db, resource, starts, ends):
            raise Refused(code)
    visit = Visit(
        visit_id=new_ulid(),
        tenant=request.tenant,
        request_id=request_id,
        service_id=request.service_id,
        officer_id=officer_id,
        kit_id=kit_id,
        starts=starts,
        ends=ends,
        state=VisitState.PLANNED,
        reason="",
        recapture=asked.asked_by if asked is not None else None,
    )
    db.add(visit)
    for resource in (f"officer:{officer_id}", f"kit:{kit_id}"):
        db.add(Booking(resource=resource, visit_id=visit.visit_id, starts=starts, ends=ends))
    request.state = VisitState.PLANNED
    outbox.put_once(db, "bag", kit_id, now)
    return visit


def unassign(db: Session, actor: Actor, visit_id: str, now: datetime) -> Visit:
    """Take a visit back that is planned, or was begun and comes to nothing: the kit is broken or gone, or can
    no longer read it. Its request can be planned again. Refused: not-allowed, unknown-visit, visit-done. The
    row stays: the kit may go on with the visit all the same, and a person decides what becomes of that
    (server/fleet/quarantine.py)."""
    if not actor.may("plan"):
        raise Refused("not-allowed")
    visit = db.get(Visit, visit_id, with_for_update=True)
    if visit is None:
        raise Refused("unknown-visit")
    if visit.state not in (VisitState.PLANNED, VisitState.OPENED):
        raise Refused("visit-done")
    withdraw(db, visit, now)
    return visit


def hand_over(db: Session, actor: Actor, visit_id: str, kit_id: str, now: datetime) -> Visit:
    """Give a planned visit to another kit; officer and time stay. Refused: not-allowed, unknown-visit,
    visit-begun, unknown-kit, kit-too-old, kit-taken (also the kit that has it), `obstacles.STOPS`. What the
    first kit does with it all the same is of an old epoch, and waits for a person."""
    if not actor.may("plan"):
        raise Refused("not-allowed")
    kit = db.get(Kit, kit_id, with_for_update=True)
    visit = db.get(Visit, visit_id, with_for_update=True)
    if visit is None:
        raise Refused("unknown-visit")
    if visit.state != VisitState.PLANNED:
        raise Refused("visit-begun")
    if kit is None or kit.retired is not None or not kits.serves(db, kit_id, visit.tenant):
        raise Refused("unknown-kit")
    if abilities.held_back(kit, visit) == "kit-too-old":
        raise Refused("kit-too-old")
    _passable(db, kit, visit.officer_id, visit.starts, visit.ends, now)
    if _taken(db, f"kit:{kit_id}", visit.starts, visit.ends):
        raise Refused("kit-taken")
    first = visit.kit_id
    free_kit(db, visit, first)
    db.add(Booking(resource=f"kit:{kit_id}", visit_id=visit_id, starts=visit.starts, ends=visit.ends))
    visit.kit_id, visit.epoch = kit_id, visit.epoch + 1
    for one in (first, kit_id):
        outbox.put_once(db, "bag", one, now)
    return visit


def free_kit(db: Session, visit: Visit, kit_id: str) -> None:
    """This kit is not taken by the visit any more."""
    db.execute(delete(Booking).where(Booking.visit_id == visit.visit_id, Booking.resource == f"kit:{kit_id}"))


def withdraw(db: Session, visit: Visit, now: datetime) -> None:
    """Nobody has this visit any more; what its kit still says of it is of an old epoch."""
    visit.state, visit.reason, visit.epoch = VisitState.ABANDONED, UNASSIGNED, visit.epoch + 1
    _free(db, visit)
    _request_of(db, visit).state = VisitState.REQUESTED
    outbox.put_once(db, "bag", visit.kit_id, now)


def move(db: Session, visit: Visit, state: VisitState, reason: str = "") -> bool:
    """Note what a kit or the service says of a visit. False when it is old news: facts only move forward.

    A visit that was taken back but happened all the same comes alive again: what was done counts."""
    if state is VisitState.ABANDONED:
        if visit.state not in (VisitState.PLANNED, VisitState.OPENED):
            return False
        _free(db, visit)
    elif visit.state == VisitState.ABANDONED:
        if state is VisitState.OPENED and visit.reason != UNASSIGNED:
            return False
    elif _RANK[state] <= _RANK[VisitState(visit.state)]:
        return False
    visit.state, visit.reason = state, reason
    _request_of(db, visit).state = state
    return True


def reopen(db: Session, visit: Visit) -> None:
    """The service rejected what this visit brought: its request may be planned once more."""
    _request_of(db, visit).state = VisitState.ABANDONED


def of_day(db: Session, day: date, kit_id: str | None = None) -> list[Visit]:
    """The visits of a Belgian day in the scope of the session, by time; of one kit if given."""
    begin, end = span(day)
    query = select(Visit).where(Visit.starts >= begin, Visit.starts < end).order_by(Visit.starts)
    if kit_id is not None:
        query = query.where(Visit.kit_id == kit_id)
    return list(db.scalars(query))


def span(day: date) -> tuple[datetime, datetime]:
    """When a Belgian day begins, and when it is over."""
    return datetime.combine(day, time(), ZONE), datetime.combine(day + timedelta(days=1), time(), ZONE)


def ahead(db: Session, kit_id: str, now: datetime) -> dict[str, int]:
    """How many visits to come are planned with each officer and this kit, as far as the session may see."""
    query = select(Visit.officer_id, func.count()).where(
        Visit.kit_id == kit_id, Visit.state == VisitState.PLANNED, Visit.ends > now
    )
    return {row[0]: row[1] for row in db.execute(query.group_by(Visit.officer_id))}


def of_request(db: Session, request_id: str) -> list[Visit]:
    """Newest first."""
    return list(
        db.scalars(select(Visit).where(Visit.request_id == request_id).order_by(Visit.visit_id.desc()))
    )


def plannable(request: Request) -> bool:
    """Whether a visit may be planned for it."""
    return not request.merged_into and request.state in (VisitState.REQUESTED, VisitState.ABANDONED)


def request_of(db: Session, visit_id: str) -> str:
    """The id of the request a visit is for. Refused unknown-visit."""
    visit = db.get(Visit, visit_id)
    if visit is None:
        raise Refused("unknown-visit")
    return visit.request_id


def was_of(db: Session, visit_id: str, tenant: str, kit_id: str) -> bool:
    """Whether this kit was the last to be given the visit, of this municipality."""
    visit = db.get(Visit, visit_id)
    return visit is not None and (visit.tenant, visit.kit_id) == (tenant, kit_id)


def local_day(at: datetime) -> date:
    return at.astimezone(ZONE).date()


def _passable(
    db: Session, kit: Kit, officer_id: str, starts: datetime, ends: datetime, now: datetime
) -> None:
    """Nobody is sent out with a kit that does not open. Refused: `obstacles.STOPS`."""
    found = obstacles.between(db, kit, officer_id, starts, ends, now)
    if found is not None and found.code in obstacles.STOPS:
        raise Refused(found.code)


def _taken(db: Session, resource: str, starts: datetime, ends: datetime) -> bool:
    overlap = select(Booking.visit_id).where(
        Booking.resource == resource, Booking.starts < ends, Booking.ends > starts
    )
    return db.scalar(overlap.limit(1)) is not None


def _free(db: Session, visit: Visit) -> None:
    db.execute(delete(Booking).where(Booking.visit_id == visit.visit_id))


def _request_of(db: Session, visit: Visit) -> Request:
    request = db.get(Request, visit.request_id)
    assert request is not None  # a foreign key says so
    return request
