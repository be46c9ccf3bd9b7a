"""Deciding what becomes of what a kit did for a visit that was no longer its own (server/fleet/stale.py)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.lifecycle import ApplicationState, VisitState
from server.auth.roles import Actor
from server.db.tables import Application, Quarantined, Visit
from server.fleet import applications, outbox, visits
from server.fleet.refused import Refused

Decision = Literal["take", "forward", "leave"]
LEFT = "left"
"""Why an application does not go on that somebody decided to leave."""


@dataclass(frozen=True)
class Matter:
    """All that one kit did for one visit, which was to be at `starts`; `item_id` is the first of it."""

    item_id: str
    visit_id: str
    kit_id: str
    why: str
    received: datetime
    states: tuple[str, ...]
    packets: tuple[str, ...]
    choices: tuple[Decision, ...]
    request_id: str
    starts: datetime


def waiting(db: Session, limit: int = 500) -> list[Matter]:
    """What nobody has decided yet, in the scope of the session, oldest first."""
    query = select(Quarantined).where(Quarantined.decision == "")
    groups: dict[tuple[str, str], list[Quarantined]] = {}
    for row in db.scalars(query.order_by(Quarantined.received, Quarantined.item_id).limit(limit)):
        groups.setdefault((row.visit_id, row.kit_id), []).append(row)
    return [_matter(rows, db.get_one(Visit, rows[0].visit_id)) for rows in groups.values()]


@dataclass(frozen=True)
class Told:
    """What a kit did for a visit not its own any more. `decision`: of Decision, "" while it waits for one."""

    kit_id: str
    decision: str
    decided: datetime | None


def of_visits(db: Session, visit_ids: Iterable[str]) -> dict[str, list[Told]]:
    """By visit, oldest first; what is the visit's own since somebody let it count is not among them."""
    query = select(Quarantined).where(Quarantined.visit_id.in_([*visit_ids]), Quarantined.decision != "take")
    found: dict[str, list[Told]] = {}
    for row in db.scalars(query.order_by(Quarantined.received, Quarantined.item_id)):
        lines, line = found.setdefault(row.visit_id, []), Told(row.kit_id, row.decision, row.decided)
        if line not in lines:
            lines.append(line)
    return found


def decide(db: Session, actor: Actor, item_id: str, decision: str, now: datetime) -> None:
    """Decide on the matter that `item_id` belongs to.

    `take`: it counts as the visit, and another for the same request that is not done is taken back.
    `forward`: the application goes to its service, and what is planned stays. `leave`: nothing is done; an
    application stays where it is, and can still be released.

    Refused: not-allowed, unknown-item, decided-already, bad-decision."""
    if not actor.may("decide"):
        raise Refused("not-allowed")
    item = db.get(Quarantined, item_id)
    if item is None:
        raise Refused("unknown-item")
    visit = db.get_one(Visit, item.visit_id, with_for_update=True)  # one decision on it at a time
    same = (Quarantined.visit_id == item.visit_id, Quarantined.kit_id == item.kit_id)
    query = select(Quarantined).where(*same, Quarantined.decision == "")
    rows = list(db.scalars(query.order_by(Quarantined.received, Quarantined.item_id).with_for_update()))
    if not rows:
        raise Refused("decided-already")
    if decision not in _choices(rows):
        raise Refused("bad-decision")
    brought = {
        row.packet_id: db.get_one(Application, row.packet_id, with_for_update=True)
        for row in rows
        if row.packet_id
    }
    # Where nobody decided for ninety days there is nothing left that could count.
    gone = {application.state for application in brought.values()} == {ApplicationState.EXPIRED}
    if decision == "take" and not gone:
        _take(db, visit, rows, now)
    for row in rows:
        if row.packet_id:
            application = brought[row.packet_id]
            if decision == "leave":
                if application.state == ApplicationState.STUCK:
                    application.reason = LEFT  # and no longer that somebody must decide
            else:
                applications.send(db, application, now)
        row.decision, row.decided, row.decided_by = decision, now, actor.account_id[:26]


def _take(db: Session, visit: Visit, rows: Sequence[Quarantined], now: datetime) -> None:
    """The visit is this kit's again, so that what it says from now on counts at once."""
    for other in visits.of_request(db, visit.request_id):
        if other.visit_id != visit.visit_id and other.state in (VisitState.PLANNED, VisitState.OPENED):
            visits.withdraw(db, other, now)
    given_to = visit.kit_id
    visit.kit_id, visit.epoch = rows[0].kit_id, min(row.epoch for row in rows)
    if given_to != visit.kit_id:  # nobody is to go there any more
        visits.free_kit(db, visit, given_to)
        outbox.put_once(db, "bag", given_to, now)
    outbox.put_once(db, "bag", visit.kit_id, now)
    for row in rows:
        visits.move(db, visit, VisitState(row.state), row.reason)


def _choices(rows: Sequence[Quarantined]) -> tuple[Decision, ...]:
    return ("take", "forward", "leave") if any(row.packet_id for row in rows) else ("take", "leave")


def _matter(rows: Sequence[Quarantined], visit: Visit) -> Matter:
    first = rows[0]
    return Matter(
        item_id=first.item_id,
        visit_id=first.visit_id,
        kit_id=first.kit_id,
        why=first.why,
        received=first.received,
        states=tuple(dict.fromkeys(row.state for row in rows)),
        packets=tuple(row.packet_id for row in rows if row.packet_id),
        choices=_choices(rows),
        request_id=visit.request_id,
        starts=visit.starts,
    )
