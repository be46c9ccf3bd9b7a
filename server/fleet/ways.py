"""What kits told of the ways into their stores: PINs changed, codes taken, officers come and gone."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.messages import AccessEvent
from server.db.tables import Message, Officer

_KIND = "access-"
_SHORT = 12  # hex digits of the officer's digest: enough to tell the officers of a fleet apart


@dataclass(frozen=True)
class WayLine:
    """`officer`: the name, or "" for none and for one outside the scope of the session."""

    at: datetime
    what: str
    officer: str


def outcome(body: AccessEvent) -> str:
    """How the message book keeps it."""
    return f"{_KIND}{body.what}.{body.officer[:_SHORT]}"


def newest(db: Session, kit_id: str, limit: int = 10) -> list[WayLine]:
    """What was heard last of a kit, newest first."""
    names = {hashlib.sha256(one.officer_id.encode()).hexdigest()[:_SHORT]: one.name for one in _officers(db)}
    rows = db.scalars(
        select(Message)
        .where(Message.kit_id == kit_id, Message.outcome.startswith(_KIND))
        .order_by(Message.received.desc())
        .limit(limit)
    )
    lines = []
    for row in rows:
        what, _, short = row.outcome.removeprefix(_KIND).partition(".")
        lines.append(WayLine(row.received, what, names.get(short, "")))
    return lines


def _officers(db: Session) -> list[Officer]:
    return list(db.scalars(select(Officer)))
