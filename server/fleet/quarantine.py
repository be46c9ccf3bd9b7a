"""Deciding what becomes of what a kit did for a visit that was no longer its own (server/fleet/stale.py)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.lifecycle import VisitState
from server.auth.roles import Actor
from server.db.tables import Application, Quarantined, Visit
from server.fleet import applications, outbox, visits
from server.fleet.refused import Refused

Decision = Literal["take", "forward", "leave"]


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


def decide(db: Session, actor: Actor, item_id: str, decision: str, now: datetime) -> None:
    """Decide on the matter that `item_id` belongs to.

    `take`: it counts as the visit, and another that was planned for the same request is taken back.
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
    if decision == "take":
        _take(db, visit, rows, now)
    for row in rows:
        if decision != "leave" and row.packet_id:
            applications.send(db, db.get_one(Application, row.packet_id, with_for_update=True), now)
        row.decision, row.decided, row.decided_by = decision, now, actor.account_id[:26]


def _take(db: Session, visit: Visit, rows: Sequence[Quarantined], now: datetime) -> None:
    """The visit is this kit's again, so that what it says from now on counts at once."""
    for other in visits.of_request(db, visit.request_id):
        if other.visit_id != visit.visit_id and other.state == VisitState.PLANNED:
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
