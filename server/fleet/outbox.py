"""Work that must happen: written with the fact that causes it, claimed under a lease, deleted when done.

At least once: a worker that dies leaves its lease to run out. Whoever receives the work is idempotent by key.
A claim gets a fresh `owner`, and only that owner may finish the row: a worker that slept past its lease is
fenced off.
"""

import random
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Select, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from server.db.notices import announce
from server.db.tables import OutboxRow

Queue = Literal[
    "forward",
    "bag",
    "doorbell",
    "receipt",
    "custody",
    "broker",
    "renew",
    "steer",
    "answer",
    "desired",
    "notice",
]

LEASE = timedelta(seconds=60)
LONGEST_WAIT_S = 300.0


@dataclass(frozen=True)
class Claim:
    """One piece of work, ours until the lease ends. `attempts` counts this one."""

    row_id: int
    owner: str
    queue: str
    subject: str
    body: str
    attempts: int


def put(db: Session, queue: Queue, subject: str, now: datetime, body: str = "") -> None:
    announce(db, queue)
    db.add(OutboxRow(queue=queue, subject=subject, body=body, run_after=now, attempts=0, owner="", error=""))


def put_once(db: Session, queue: Queue, subject: str, now: datetime, body: str = "") -> None:
    """As `put`, unless the same work waits already and nobody has begun it; nor does before we commit: who
    claims passes over what is locked, and would do the work without seeing what we cause it for."""
    waiting = select(OutboxRow.row_id).where(
        OutboxRow.queue == queue,
        OutboxRow.subject == subject,
        OutboxRow.body == body,
        OutboxRow.lease_until.is_(None),
    )
    if db.scalar(waiting.limit(1).with_for_update(skip_locked=True)) is None:
        put(db, queue, subject, now, body)


def concerns(db: Session, queue: Queue, subject: str) -> bool:
    """Whether such work waits or is being done."""
    rows = select(OutboxRow.row_id).where(OutboxRow.queue == queue, OutboxRow.subject == subject)
    return db.scalar(rows.limit(1)) is not None


def due(db: Session, queues: Sequence[Queue], now: datetime) -> bool:
    """Whether there is anything to claim: a read, so that idle workers write nothing."""
    return db.scalar(_claimable(queues, now).with_only_columns(OutboxRow.row_id).limit(1)) is not None


def presses(db: Session, queue: Queue, now: datetime) -> bool:
    """Whether there is work that nobody has tried yet, or that somebody tries for the first time just now."""
    new = and_(OutboxRow.attempts == 0, OutboxRow.run_after <= now)
    first = and_(OutboxRow.attempts == 1, OutboxRow.lease_until > now)
    query = select(OutboxRow.row_id).where(OutboxRow.queue == queue, or_(new, first))
    return db.scalar(query.limit(1)) is not None


def claim(db: Session, queues: Sequence[Queue], limit: int, now: datetime) -> list[Claim]:
    """At most `limit` pieces of work, oldest first, now ours for LEASE."""
    query = _claimable(queues, now).order_by(OutboxRow.run_after, OutboxRow.row_id).limit(limit)
    claims = []
    for row in db.scalars(query.with_for_update(skip_locked=True)):
        row.owner = secrets.token_hex(8)
        row.lease_until = now + LEASE
        row.attempts += 1
        claims.append(Claim(row.row_id, row.owner, row.queue, row.subject, row.body, row.attempts))
    return claims


def done(db: Session, claim: Claim) -> bool:
    """Take the row away; False when the claim was no longer ours."""
    gone = db.execute(
        delete(OutboxRow)
        .where(OutboxRow.row_id == claim.row_id, OutboxRow.owner == claim.owner)
        .returning(OutboxRow.row_id)
    )
    return gone.scalar_one_or_none() is not None


def again(db: Session, claim: Claim, now: datetime, error: str, wait_s: float | None = None) -> None:
    """Put the row back for later: after `wait_s` seconds, or after a growing, jittered wait."""
    wait = backoff_s(claim.attempts) if wait_s is None else wait_s
    db.execute(
        update(OutboxRow)
        .where(OutboxRow.row_id == claim.row_id, OutboxRow.owner == claim.owner)
        .values(owner="", lease_until=None, run_after=now + timedelta(seconds=wait), error=error[:80])
    )


def hurry(db: Session, queue: Queue, subject: str, now: datetime) -> bool:
    """Somebody has mended what work about `subject` failed on: it need not wait. False: there is none."""
    failed = (OutboxRow.queue == queue, OutboxRow.subject == subject, OutboxRow.error != "")
    ran = db.execute(update(OutboxRow).where(*failed).values(run_after=now).returning(OutboxRow.row_id))
    if ran.first() is None:
        return False
    announce(db, queue)
    return True


def backoff_s(attempts: int) -> float:
    """Between half of and all of 1, 2, 4 ... 300 seconds: a service that comes back is not stampeded."""
    longest = min(LONGEST_WAIT_S, 2.0 ** min(attempts - 1, 12))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 (no secret depends on it)


def held_up(db: Session, queue: Queue, subjects: Collection[str]) -> dict[str, tuple[str, datetime]]:
    """Of the work about these that has failed before: why, last, and when it is tried again."""
    rows = select(OutboxRow.subject, OutboxRow.error, OutboxRow.run_after).where(
        OutboxRow.queue == queue, OutboxRow.subject.in_(subjects), OutboxRow.error != ""
    )
    return {subject: (error, at) for subject, error, at in db.execute(rows)}


def waiting(db: Session) -> dict[str, int]:
    """How many rows each queue holds."""
    rows = db.execute(select(OutboxRow.queue, func.count()).group_by(OutboxRow.queue))
    return dict(rows.all())


def _claimable(queues: Sequence[Queue], now: datetime) -> Select[OutboxRow]:
    return select(OutboxRow).where(
        OutboxRow.queue.in_(queues),
        OutboxRow.run_after <= now,
        or_(OutboxRow.lease_until.is_(None), OutboxRow.lease_until < now),
    )
