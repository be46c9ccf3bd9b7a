"""Counting tries within a window, in the database, so that every process and a restart count together."""

from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import delete
from sqlalchemy.orm import Session

from server.db.tables import Throttle
from server.db.turns import take_turn

KEPT = timedelta(days=1)


def take(db: Session, what: str, who: str, limit: int, window: timedelta, now: datetime) -> bool:
    """Count one try of `what` by `who`; False when there were already `limit` within `window`."""
    key = _key(what, who)
    take_turn(db, key)  # two first tries at once would both make the row
    row = db.get(Throttle, key, with_for_update=True)
    if row is None:
        db.add(Throttle(key=key, since=now, count=1))
        return True
    if now - row.since >= window:
        row.since, row.count = now, 0
    row.count += 1
    return row.count <= limit


def forgive(db: Session, what: str, who: str) -> None:
    """Forget the tries of `what` by `who`."""
    db.execute(delete(Throttle).where(Throttle.key == _key(what, who)))


def sweep(db: Session, now: datetime) -> None:
    """Forget what no window can still need."""
    db.execute(delete(Throttle).where(Throttle.since < now - KEPT))


def _key(what: str, who: str) -> str:
    return sha256(f"{what}|{who}".encode()).hexdigest()
