"""What stands in the way of a planned visit: an officer who cannot open the kit, a kit that is closed then.

Nobody may travel for nothing, and nobody in bed may wait for nothing. So planning refuses what cannot work
and warns of what is not so yet; what comes between afterwards (an officer taken off a list, a kit that went
missing or was not online) is shown, visit by visit, until somebody has planned it anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from protocol.lifecycle import VisitState
from server.db.tables import Kit, KitLease, KitOfficer, Officer, Visit
from server.fleet import abilities

Stop = Literal[
    "kit-missing",  # or refused for good: it gets no list of visits any more, and closes by itself
    "officer-not-listed",
    "officer-no-code",  # on the list, and nothing that lets the officer in
    "officer-code-expired",
]
Warned = Literal[
    "officer-code-waits",  # a code is made: the officer has to be let in before setting out
    "officer-list-waits",  # and the kit has not fetched it yet
    "officers-unknown",  # the kit has no list: it opens for whom it was founded with
    "kit-closes",  # it was not online lately, and is closed before the visit is over
    "kit-cannot-read",  # by the kit's own word: its software is too old, or what it kept is damaged
]
Code = Stop | Warned
STOPS: frozenset[str] = frozenset(get_args(Stop))
"""Planning refuses these."""

AHEAD = timedelta(hours=48)
"""A kit that closes is told of so long before the visit: it has until then to be online."""

QUIET = timedelta(hours=1)
"""A kit that is online asks for a lease every quarter of an hour."""

BEGUN = timedelta(days=90)
"""Nothing that was begun is on a kit for longer."""

MOST = 500


@dataclass(frozen=True)
class Obstacle:
    """`until`: how long the code counts, or the kit opens."""

    code: Code
    until: datetime | None = None


@dataclass(frozen=True)
class Line:
    """A visit with something in its way; without a citizen's name."""

    visit_id: str
    request_id: str
    starts: datetime
    officer_id: str
    officer: str
    kit_id: str
    code: Code
    until: datetime | None


def between(
    db: Session, kit: Kit, officer_id: str, starts: datetime, ends: datetime, now: datetime
) -> Obstacle | None:
    """What stands in the way of this officer with this kit at this time."""
    listed, lease = db.get(KitOfficer, (kit.kit_id, officer_id)), db.get(KitLease, kit.kit_id)
    return _judge(kit, listed, lease, starts, ends, now)


def of_visits(db: Session, visits: Iterable[Visit], now: datetime) -> Mapping[str, Obstacle]:
    """By visit, of those that are planned and not over; and of those begun that their kit cannot read."""
    planned = [visit for visit in visits if _to_come(visit, now) or visit.state == VisitState.OPENED]
    if not planned:
        return {}
    ids = {visit.kit_id for visit in planned}
    kits = {row.kit_id: row for row in db.scalars(select(Kit).where(Kit.kit_id.in_(ids)))}
    leases = {row.kit_id: row for row in db.scalars(select(KitLease).where(KitLease.kit_id.in_(ids)))}
    listed = {
        (row.kit_id, row.officer_id): row
        for row in db.scalars(select(KitOfficer).where(KitOfficer.kit_id.in_(ids)))
    }
    found: dict[str, Obstacle] = {}
    for visit in planned:
        kit_id = visit.kit_id
        row = listed.get((kit_id, visit.officer_id))
        obstacle = (
            _judge(kits[kit_id], row, leases.get(kit_id), visit.starts, visit.ends, now)
            if _to_come(visit, now)
            else None
        )
        if (obstacle is None or obstacle.code not in STOPS) and visit.visit_id in abilities.unread(
            kits[kit_id]
        ):
            obstacle = Obstacle("kit-cannot-read")
        if obstacle is not None:
            found[visit.visit_id] = obstacle
    return found


def ahead(db: Session, now: datetime, kit_id: str | None = None) -> tuple[Line, ...]:
    """The visits to come, in the scope of the session, that cannot go on as they are planned, by time. Of a
    kit without a list nothing is known and nothing is said."""
    query = select(Visit).where(
        or_(
            and_(Visit.state == VisitState.PLANNED, Visit.ends > now),
            and_(Visit.state == VisitState.OPENED, Visit.ends > now - BEGUN),
        )
    )
    if kit_id is not None:
        query = query.where(Visit.kit_id == kit_id)
    rows = list(db.scalars(query.order_by(Visit.starts).limit(MOST)))
    found = of_visits(db, rows, now)
    names = {row.officer_id: row.name for row in db.scalars(select(Officer))} if found else {}
    return tuple(
        Line(
            visit.visit_id,
            visit.request_id,
            visit.starts,
            visit.officer_id,
            names.get(visit.officer_id, visit.officer_id),
            visit.kit_id,
            obstacle.code,
            obstacle.until,
        )
        for visit in rows
        if (obstacle := found.get(visit.visit_id)) is not None and obstacle.code != "officers-unknown"
    )


def _to_come(visit: Visit, now: datetime) -> bool:
    return visit.state == VisitState.PLANNED and visit.ends > now


def openers(db: Session, kits: Iterable[Kit]) -> Mapping[str, tuple[str, ...] | None]:
    """The names of who can open each kit, as far as the session may see them; None where there is no list."""
    named: dict[str, tuple[str, ...] | None] = {}
    for kit in kits:
        query = select(Officer.name).join(KitOfficer, KitOfficer.officer_id == Officer.officer_id)
        query = query.where(
            KitOfficer.kit_id == kit.kit_id, KitOfficer.on_kit.is_not(None), KitOfficer.taken.is_(None)
        )
        named[kit.kit_id] = tuple(db.scalars(query.order_by(Officer.name))) if kit.roster_version else None
    return named


def _judge(
    kit: Kit,
    listed: KitOfficer | None,
    lease: KitLease | None,
    starts: datetime,
    ends: datetime,
    now: datetime,
) -> Obstacle | None:
    if kit.lost is not None or kit.retired is not None:
        return Obstacle("kit-missing")
    about = _officer(kit, listed, now)
    if about is not None and about.code != "officers-unknown":
        return about
    if lease is not None and lease.ends < ends and starts - now < AHEAD and now - lease.granted > QUIET:
        return Obstacle("kit-closes", lease.ends)
    return about


def _officer(kit: Kit, listed: KitOfficer | None, now: datetime) -> Obstacle | None:
    if not kit.roster_version:
        return Obstacle("officers-unknown")
    if listed is None or listed.taken is not None:
        return Obstacle("officer-not-listed")
    if listed.on_kit is not None:
        return None
    if listed.enrolment_until is None:
        return Obstacle("officer-no-code")
    if listed.enrolment_until <= now:
        return Obstacle("officer-code-expired")
    fetched = kit.roster_told >= kit.roster_version
    return Obstacle("officer-code-waits" if fetched else "officer-list-waits", listed.enrolment_until)
