"""How the broker's last check ended, and whether that is good enough for production."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from server.db.tables import BrokerCheck

STALE = timedelta(hours=48)
NIGHT_UTC = range(1, 4)
ONCE_A_NIGHT = timedelta(hours=12)
ANSWERS = "answers"
"""No check of the night: it stands there as long as the broker does not answer."""


class BrokerUnsafe(Exception):
    """The broker has not passed its check; the message says what is wrong and what to do."""


def note(db: Session, name: str, place: int, ok: bool, detail: str, remedy: str, now: datetime) -> None:
    row = db.get(BrokerCheck, name)
    if row is None:
        row = BrokerCheck(name=name)
        db.add(row)
    row.place, row.state = place, "ok" if ok else "fail"
    row.detail, row.remedy, row.at = detail[:300], remedy[:300], now


def answers(db: Session, ok: bool, detail: str, remedy: str, now: datetime) -> None:
    """Whether the broker answers, by who asks it all the time."""
    if ok:
        db.execute(delete(BrokerCheck).where(BrokerCheck.name == ANSWERS))
    else:
        note(db, ANSWERS, 0, ok, detail, remedy, now)


def results(db: Session) -> Sequence[BrokerCheck]:
    """The newest result of each check, in their order."""
    return db.scalars(select(BrokerCheck).order_by(BrokerCheck.place)).all()


def verdict(db: Session, now: datetime) -> str:
    """ "" when every check is green and fresh; else one sentence for the administrator."""
    rows = results(db)
    red = [row for row in rows if row.state != "ok"]
    if red:
        first = red[0]
        count = f"{len(red)} of {len(rows)} checks of the broker are red"
        return f"{count}; {first.name}: {first.detail} ({first.remedy})"
    if not _checks(db):
        return "the broker was never checked: run `thuisloket-fleet broker check`"
    if is_stale(db, now):
        return "the broker's last check is older than two days: run `thuisloket-fleet broker check`"
    return ""


def require(db: Session, now: datetime) -> None:
    """BrokerUnsafe unless the broker has passed its check."""
    found = verdict(db, now)
    if found:
        raise BrokerUnsafe(f"production needs a broker that passes its check: {found}")


def is_stale(db: Session, now: datetime) -> bool:
    """Whether a check, made once, was not made again in two days."""
    rows = _checks(db)
    return bool(rows) and min(row.at for row in rows) < now - STALE


def is_due(db: Session, now: datetime, every: timedelta | None = None) -> bool:
    """Whether tonight's check has not been made; with `every`, whether the last is so long ago."""
    if every is None and now.hour not in NIGHT_UTC:
        return False
    rows = _checks(db)
    return not rows or max(row.at for row in rows) < now - (every or ONCE_A_NIGHT)


def _checks(db: Session) -> list[BrokerCheck]:
    return [row for row in results(db) if row.name != ANSWERS]
