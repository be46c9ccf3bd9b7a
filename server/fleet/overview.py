"""What the town hall sees at a glance: kits, today's visits, applications by state. No citizen by name."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from protocol.lifecycle import ApplicationState, VisitState
from protocol.recapture import Part
from server.db.tables import Application, Kit, Officer, Request
from server.fleet import (
    abilities,
    applications,
    holdings,
    incidents,
    kits,
    leases,
    obstacles,
    outbox,
    recaptures,
    visits,
)
from server.fleet.tally import Tally, tally

LONG = timedelta(hours=1)
"""A service that is away for less is nobody's worry."""


@dataclass(frozen=True)
class KitLine:
    """One kit; None where it has not said. `oldest_since`: since when its oldest sealed application waits."""

    kit_id: str
    presence: str
    presence_at: datetime | None
    health_at: datetime | None
    battery: int | None
    mains: bool | None
    peripherals: tuple[tuple[str, str], ...]
    waiting: int
    oldest_since: datetime | None
    in_visit: bool
    reduced: bool
    test_trust: bool
    retired: bool
    draft_since: datetime | None  # by its own word: the oldest visit that is begun and not finished
    lost: bool = False
    closes: datetime | None = None  # when it closes by itself, unless it is online before; None: no lease


@dataclass(frozen=True)
class VisitLine:
    visit_id: str
    request_id: str
    starts: datetime
    ends: datetime
    officer: str
    kit_id: str
    place: str
    state: str
    reason: str
    only: tuple[Part, ...] = ()  # a short visit that takes these parts anew
    held: abilities.Held = ""  # why it is not sent to its kit


@dataclass(frozen=True)
class StuckLine:
    packet_id: str
    kit_id: str
    reason: str
    since: datetime


@dataclass(frozen=True)
class IncidentLine:
    """Nobody has looked into it yet."""

    code: str
    kit_id: str
    at: datetime
    detail: str


@dataclass(frozen=True)
class Overview:
    """One moment. Two are equal when a screen would show the same."""

    day: date
    kits: tuple[KitLine, ...]
    visits: tuple[VisitLine, ...]
    applications: tuple[tuple[ApplicationState, int], ...]
    stuck: tuple[StuckLine, ...]
    slow: tuple[StuckLine, ...]  # with us for long, because the service cannot be reached or does not take it
    to_plan: int
    tally: Tally
    towns: tuple[tuple[str, Tally], ...]  # by municipality, where there are several
    oldest: datetime | None  # since when the oldest biometric is somewhere with us
    oldest_of: dict[str, datetime]  # the same for each kit that holds any
    incidents: tuple[IncidentLine, ...]
    obstacles: tuple[obstacles.Line, ...]  # visits to come that cannot go on as planned


def look(db: Session, now: datetime) -> Overview:
    """The overview of everything in the scope of the session."""
    day = visits.local_day(now)
    closing = leases.closing(db)
    lines = tuple(kit_line(kit, closing.get(kit.kit_id)) for kit in kits.visible(db))
    drafts = {line.kit_id: line.draft_since for line in lines if line.draft_since is not None}
    book, (all_, towns) = holdings.oldest(db), tally(db)
    return Overview(
        day=day,
        kits=lines,
        tally=all_,
        towns=tuple(towns.items()) if len(towns) > 1 else (),
        oldest=book.since(drafts),
        oldest_of=book.by_kit(drafts),
        incidents=tuple(
            IncidentLine(row.code, row.kit_id, row.at, row.detail)
            for row in incidents.listed(db, 20, waiting_only=True)
        ),
        visits=visit_lines(db, day),
        obstacles=obstacles.ahead(db, now),
        applications=tuple(applications.counts(db).items()),
        stuck=tuple(
            StuckLine(row.packet_id, row.kit_id, row.reason, row.changed)
            for row in applications.newest(db, 20)
            if row.state == ApplicationState.STUCK
        ),
        slow=_slow(db, now),
        to_plan=db.scalar(
            select(func.count())
            .select_from(Request)
            .where(
                Request.merged_into.is_(None),
                Request.state.in_((VisitState.REQUESTED, VisitState.ABANDONED)),
            )
        )
        or 0,
    )


def _slow(db: Session, now: datetime) -> tuple[StuckLine, ...]:
    query = select(Application).where(
        Application.state.in_((ApplicationState.UPLOADED, ApplicationState.FORWARDED)),
        Application.uploaded < now - LONG,
    )
    rows = list(db.scalars(query.order_by(Application.uploaded).limit(20)))
    why = outbox.held_up(db, "forward", [row.packet_id for row in rows])
    return tuple(
        StuckLine(row.packet_id, row.kit_id, why[row.packet_id][0], row.uploaded)
        for row in rows
        if row.packet_id in why and row.uploaded is not None
    )


def kit_line(kit: Kit, closes: datetime | None = None) -> KitLine:
    health, birth = abilities.said(kit)
    oldest = draft = None
    if health and kit.health_at and health.drafts:
        draft = kit.health_at - timedelta(seconds=health.oldest_draft_s)
    if health and kit.health_at and health.sealed_waiting:
        oldest = kit.health_at - timedelta(seconds=health.oldest_waiting_s)
    return KitLine(
        kit_id=kit.kit_id,
        presence=kit.presence,
        presence_at=kit.presence_at,
        health_at=kit.health_at,
        battery=health.battery if health else None,
        mains=health.mains if health else None,
        peripherals=tuple(sorted(health.peripherals.items())) if health else (),
        waiting=health.sealed_waiting if health else 0,
        oldest_since=oldest,
        in_visit=health.in_visit if health else False,
        reduced=birth.protection == "reduced" if birth else False,
        test_trust=birth.test_trust if birth else False,
        retired=kit.retired is not None,
        draft_since=draft,
        lost=kit.lost is not None,
        closes=closes,
    )


def visit_lines(db: Session, day: date, kit_id: str | None = None) -> tuple[VisitLine, ...]:
    """The visits of a day, without those that were taken back."""
    rows = [
        visit
        for visit in visits.of_day(db, day, kit_id)
        if (visit.state, visit.reason) != (VisitState.ABANDONED, visits.UNASSIGNED)
    ]
    officers = {row.officer_id: row.name for row in db.scalars(select(Officer))}
    wanted, short = [visit.request_id for visit in rows], recaptures.parts_of(db, rows)
    given = {kit.kit_id: kit for kit in db.scalars(select(Kit).where(Kit.kit_id.in_(v.kit_id for v in rows)))}
    places = {
        row.request_id: f"{row.postcode} {row.municipality}"
        for row in db.scalars(select(Request).where(Request.request_id.in_(wanted)))
    }
    return tuple(
        VisitLine(
            visit_id=visit.visit_id,
            request_id=visit.request_id,
            starts=visit.starts,
            ends=visit.ends,
            officer=officers.get(visit.officer_id, visit.officer_id),
            kit_id=visit.kit_id,
            place=places[visit.request_id],
            state=visit.state,
            reason=visit.reason,
            only=short.get(visit.visit_id, ()),
            held=abilities.held_back(given[visit.kit_id], visit) if visit.state == VisitState.PLANNED else "",
        )
        for visit in rows
    )


def of_kit(db: Session, kit_id: str, limit: int = 50) -> list[Application]:
    """The last applications of a kit, in the scope of the session."""
    query = select(Application).where(Application.kit_id == kit_id)
    return list(db.scalars(query.order_by(Application.changed.desc()).limit(limit)))
