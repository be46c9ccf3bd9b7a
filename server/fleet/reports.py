"""What kits say of themselves: the last of each kind on the kit's row, and each health report for a while.

Thousands a second at worst, so a batch is one query, one insert of many rows and one update of many rows,
whatever the number of kits in it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from protocol.messages import Birth, Envelope, Gathered, Health, Presence, moment
from server.db import bulk
from server.db.tables import Kit, Report
from server.fleet import abilities

KEPT = timedelta(days=30)
SWEPT_AT_ONCE = 20_000

ENDS = frozenset({"off", "lost"})  # no presence of the same session comes after these

State = Presence | Birth | Health
_READ = ("kit_id", "retired", "session", "presence", "health_at", "report_id", "report_ses", "report_seq")
_PRESENCE = ("kit_id", "session", "presence", "presence_at")
_BIRTH = ("kit_id", "session", "birth")
_HEALTH = ("kit_id", "session", "health", "health_at", "report_id", "report_ses", "report_seq")
_REPORT = ("report_id", "kit_id", "previous", "received", "at", "health")


@dataclass(slots=True)
class Standing:
    """What a kit's row says, and will say after the batch."""

    active: bool
    session: int
    presence: str
    health_at: datetime | None
    report_id: int | None
    report_ses: int
    report_seq: int
    presence_at: datetime | None = None  # these three: only when the batch has brought something
    birth: str = ""
    health: str = ""


@dataclass(slots=True)
class Batch:
    """The kits of one batch, locked for the transaction, the reports to be kept, and what births said."""

    kits: dict[str, Standing]
    numbers: Sequence[int]  # for the reports, perhaps more than are kept
    now: datetime
    latest: datetime  # what a kit's clock may say at most: now, in whole milliseconds as it writes them
    reports: list[tuple[str, datetime, datetime, str]] = field(default_factory=list)
    reads: dict[str, int] = field(default_factory=dict)  # what kits that were born read of a visit


def begin(db: Session, said: Iterable[Envelope], now: datetime) -> Batch:
    """Lock the rows of the kits that say something, in one order for all workers, and read what they say."""
    names, most = set(), 0
    for each in said:
        names.add(each.kit)
        most += isinstance(each.body, Health)
    rows, numbers = bulk.lock_rows(db, Kit, _READ, names, Report, most)
    kits = {kit_id: Standing(retired is None, *standing) for kit_id, retired, *standing in rows}
    return Batch(kits, numbers, now, now.replace(microsecond=now.microsecond // 1000 * 1000))


def take(batch: Batch, envelope: Envelope, body: State) -> str:
    """Note a state; a code for what became of it. The newest counts. A will was written when its session
    began: one of an older session is stale. So is a presence of a session that has ended: another worker was
    faster, or a broker that was killed shows again what it had saved before."""
    kit = batch.kits.get(envelope.kit)
    if kit is None or not kit.active:
        return "unknown-kit"
    if envelope.ses < kit.session:
        return "old-session"
    if isinstance(body, Health):
        outcome = _report(batch, kit, envelope)
        if outcome != "state":
            return outcome
    elif isinstance(body, Birth):
        kit.birth = msgspec.json.encode(body).decode()
        batch.reads[envelope.kit] = body.bag
    elif envelope.ses == kit.session and kit.presence in ENDS:
        return "old-session"
    else:
        kit.presence, kit.presence_at = body.s, batch.now
    kit.session = envelope.ses
    return "state"


def end(db: Session, batch: Batch, now: datetime) -> None:
    """Write down what the batch changed."""
    rows = []
    for number, (kit_id, received, at, health) in zip(batch.numbers, batch.reports, strict=False):
        kit = batch.kits[kit_id]
        rows.append((number, kit_id, kit.report_id, received, at, health))
        kit.report_id = number
    bulk.insert_rows(db, Report, _REPORT, rows)
    kits = batch.kits.items()
    presences = [
        (kit_id, kit.session, kit.presence, kit.presence_at) for kit_id, kit in kits if kit.presence_at
    ]
    bulk.update_rows(db, Kit, _PRESENCE, presences)
    abilities.born(db, batch.reads, now)
    bulk.update_rows(db, Kit, _BIRTH, [(kit_id, kit.session, kit.birth) for kit_id, kit in kits if kit.birth])
    healths = [
        (kit_id, kit.session, kit.health, kit.health_at, kit.report_id, kit.report_ses, kit.report_seq)
        for kit_id, kit in kits
        if kit.health
    ]
    bulk.update_rows(db, Kit, _HEALTH, healths)


def history(db: Session, kit_id: str, since: datetime, most: int = 3000) -> Iterator[tuple[datetime, Health]]:
    """The reports of a kit, newest first, that came in after `since`: from each to the one before it."""
    number = db.scalar(select(Kit.report_id).where(Kit.kit_id == kit_id))
    for _ in range(most):
        row = db.get(Report, number) if number is not None else None
        if row is None or row.received < since:
            return
        yield row.at, msgspec.json.decode(row.health, type=Health)
        number = row.previous


def sweep(db: Session, now: datetime) -> int:
    """Forget the oldest reports, so many at once that the ingest is not held up; how many."""
    oldest: Sequence[tuple[int, datetime]] = [
        row.tuple()
        for row in db.execute(
            select(Report.report_id, Report.received).order_by(Report.report_id).limit(SWEPT_AT_ONCE)
        )
    ]
    over = [number for number, received in oldest if received < now - KEPT]
    if over:
        db.execute(delete(Report).where(Report.report_id <= max(over)))
    return len(over)


def _report(batch: Batch, kit: Standing, envelope: Envelope) -> str:
    if (envelope.ses, envelope.seq) <= (kit.report_ses, kit.report_seq):
        return "again"  # the broker's second delivery, or the retained one
    # Retained: it may be old. And a kit's clock may be ahead, which must not silence the kit later.
    at = min(moment(envelope.ts), batch.latest)
    if kit.health_at is not None and at < kit.health_at:
        return "older"
    if at == kit.health_at and isinstance(envelope, Gathered):
        return "again"  # a batch that was not acknowledged comes again, in the next session
    kit.health_at, kit.report_ses, kit.report_seq = at, envelope.ses, envelope.seq
    kit.health = msgspec.json.encode(envelope.body).decode()
    batch.reports.append((envelope.kit, batch.now, at, kit.health))
    return "state"
