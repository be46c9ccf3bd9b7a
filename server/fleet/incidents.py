"""Incidents: raised once each, shown until an administrator has looked into them."""

from collections.abc import Collection
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.ids import new_ulid
from server.auth.roles import Actor
from server.db.tables import Incident, KitTenant
from server.db.turns import take_turn
from server.fleet.refused import Refused

Code = Literal[
    "hard-limit",  # the kit destroyed something because 90 days were over
    "overdue",  # something is 90 days old and its kit has not said that it is gone
    "deletion-forged",  # a certificate that the kit did not sign
    "deletion-foreign",  # a certificate of another kit
    "deletion-unknown",  # a certificate about what this kit never had
    "command-unknown",  # the kit refused, or did, what we never asked
    "certificate-ending",  # a kit's certificate ends within a week and was not renewed
    "certificate-superseded",  # somebody asks with a certificate that its kit has replaced: a copy?
    "deleted-unanswered",  # destroyed as if answered, and nobody has answered
    "visit-cannot-open",  # a visit of today is planned with an officer who cannot open the kit
    "packet-refused",  # all of a packet is here, and it is not taken for an application
    "packet-unfinished",  # the same, and whoever sent it never asked on, so that nobody has judged it
    "packet-unknown",  # the same; it was taken, and there is no application of it
]


def report(db: Session, kit_id: str, code: Code, subject: str, detail: str, at: datetime) -> bool:
    """Tell it, unless it was told before; whether it was. What had settled itself waits again."""
    take_turn(db, f"incident {kit_id}")
    same = select(Incident).where(
        Incident.code == code, Incident.kit_id == kit_id, Incident.subject == subject
    )
    row = db.scalar(same)
    if row is not None and (row.acknowledged is None or row.acknowledged_by):
        return False
    if row is None:
        row = Incident(incident_id=new_ulid(), kit_id=kit_id, code=code, subject=subject, acknowledged_by="")
        db.add(row)
    row.detail, row.at, row.acknowledged = detail[:80], at, None
    db.flush()
    return True


def waiting(db: Session, codes: Collection[Code]) -> list[Incident]:
    """Those of these kinds that nobody has looked into."""
    return list(db.scalars(select(Incident).where(Incident.code.in_(codes), Incident.acknowledged.is_(None))))


def settle(row: Incident, now: datetime) -> None:
    """It is over, and nobody had to look into it."""
    row.acknowledged, row.acknowledged_by = now, ""


def listed(db: Session, limit: int = 100, *, waiting_only: bool = False) -> list[Incident]:
    """Of kits that serve the scope of the session: those that wait first, then the newest."""
    mine = select(KitTenant.kit_id)
    query = select(Incident).where(Incident.kit_id.in_(mine))
    if waiting_only:
        query = query.where(Incident.acknowledged.is_(None))
    waits_first = Incident.acknowledged.is_(None).desc()
    return list(db.scalars(query.order_by(waits_first, Incident.incident_id.desc()).limit(limit)))


def acknowledge(db: Session, actor: Actor, incident_id: str, now: datetime) -> None:
    """An administrator has looked into it. Refused: not-allowed, unknown-incident. Twice is as once."""
    if not actor.may("acknowledge"):
        raise Refused("not-allowed")
    row = db.get(Incident, incident_id, with_for_update=True)
    if row is None or row.kit_id not in db.scalars(select(KitTenant.kit_id)).all():
        raise Refused("unknown-incident")
    if row.acknowledged is None:
        row.acknowledged, row.acknowledged_by = now, actor.name[:64]
