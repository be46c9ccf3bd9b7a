"""What kits say over MQTT, taken in exactly once: the unique key, the change of state and the receipt to send
are one transaction, and only after it is the broker told that the message arrived.

A batch is one transaction. What makes a batch fail is looked for by taking its messages one by one.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import structlog
from cryptography import x509
from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from protocol.lifecycle import VisitState
from protocol.messages import (
    AccessEvent,
    ApplicationEvent,
    AskJobs,
    AskTime,
    AskTwin,
    BadMessage,
    Birth,
    DeletionEvent,
    Envelope,
    Health,
    JobEvent,
    Presence,
    Reported,
    VisitEvent,
    apart,
    decode,
    moment,
)
from server.db import turns
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.db.tables import Message, Visit
from server.fleet import (
    applications,
    deletions,
    holdings,
    jobs,
    kits,
    outbox,
    questions,
    reports,
    rosters,
    stale,
    twins,
    visits,
    ways,
)

REMEMBERED = timedelta(days=90)
STATES = (Health, Presence, Birth)  # the many first
EVENTS = (VisitEvent, ApplicationEvent, DeletionEvent, AccessEvent, JobEvent)
Roots = Sequence[x509.Certificate]

log = structlog.get_logger()


class Heard(NamedTuple):
    """What became of a message; `outcome` is a code for log and metrics."""

    kit_id: str
    message_id: str
    outcome: str

    @property
    def event(self) -> bool:
        """Whether it is more than one of the many states, which nobody logs one by one."""
        return self.outcome not in ("state", "again", "older")


def take(database: Database, topic: str, payload: bytes, now: datetime, roots: Roots = ()) -> Heard:
    """Take in one message. Never raises for what a kit may send; what does not fit is named and dropped."""
    (heard,) = take_all(database, [(topic, payload)], now, roots)
    return heard


def take_all(
    database: Database, messages: Sequence[tuple[str, bytes]], now: datetime, roots: Roots = ()
) -> list[Heard]:
    """Take in `messages` (topic, payload) in their order, in one transaction; what became of each, and of
    each report of a batch.

    `roots`: what the kits' signing certificates lead to; without them no signed word of a kit is believed."""
    decoded = [each for topic, payload in messages for each in _decode(topic, payload)]
    try:
        return turns.whole(lambda: _commit(database, decoded, now, roots))
    except SQLAlchemyError as problem:
        if len(decoded) == 1:
            raise
        log.warning("a batch is taken one by one", messages=len(decoded), exc_info=problem)
        alone = [partial(_commit, database, [each], now, roots) for each in decoded]
        return [heard for each in alone for heard in turns.whole(each)]


def sweep(db: Session, now: datetime) -> None:
    """Forget messages so old that no kit can still be repeating them, and reports nobody looks at."""
    db.execute(delete(Message).where(Message.received < now - REMEMBERED))
    reports.sweep(db, now)
    rosters.forget_expired(db, now)


def _decode(topic: str, payload: bytes) -> Sequence[Envelope | Heard]:
    """What a message says; of a batch with one bad report nothing: the kit sends each again by itself."""
    try:
        return apart(decode(topic, payload))
    except BadMessage as problem:
        return (Heard("", "", f"refused-{problem.code}"),)


def _commit(
    database: Database, decoded: Sequence[Envelope | Heard], now: datetime, roots: Roots
) -> list[Heard]:
    envelopes = [each for each in decoded if isinstance(each, Envelope)]
    if not envelopes:
        return [each for each in decoded if isinstance(each, Heard)]
    with database.writing(EVERYONE) as db:
        batch = reports.begin(db, envelopes, now)
        heard = [
            each if isinstance(each, Heard) else Heard(each.kit, each.id, _take(db, batch, each, now, roots))
            for each in decoded
        ]
        reports.end(db, batch, now)
    return heard


def _take(db: Session, batch: reports.Batch, envelope: Envelope, now: datetime, roots: Roots) -> str:
    body = envelope.body
    if isinstance(body, STATES):
        return reports.take(batch, envelope, body)
    kit = batch.kits.get(envelope.kit)
    if kit is None or not kit.active:
        return "unknown-kit"
    if isinstance(body, Reported):
        return twins.take(db, envelope, body, now)
    if isinstance(body, AskJobs | AskTwin | AskTime):
        questions.asked(db, envelope.kit, body, now)
        return "asked"
    if not isinstance(body, EVENTS):
        return "not-for-us"
    if db.get(Message, (envelope.id, envelope.kit)) is not None:
        # The kit sends again because our first receipt got lost, or because it waits: then one is enough.
        outbox.put_once(db, "receipt", envelope.kit, now, body=envelope.id)
        return "again"
    outbox.put(db, "receipt", envelope.kit, now, body=envelope.id)
    if isinstance(body, DeletionEvent):
        outcome = deletions.take(db, envelope.kit, body.certificate, roots, now)
    elif isinstance(body, AccessEvent):
        rosters.heard(db, envelope.kit, body.what, body.officer, now)
        outcome = ways.outcome(body)
    elif isinstance(body, JobEvent):
        outcome = jobs.heard(db, envelope.kit, body, now)
    else:
        outcome = _event(db, envelope.kit, body, moment(envelope.ts), now)
    db.add(Message(kit_id=envelope.kit, message_id=envelope.id, received=now, outcome=outcome))
    db.flush()  # a second of the same batch must find it
    return outcome


def _event(db: Session, kit_id: str, body: VisitEvent | ApplicationEvent, at: datetime, now: datetime) -> str:
    visit = db.get(Visit, body.visit_id, with_for_update=True)
    if visit is None:
        return "unknown-visit"
    if visit.kit_id != kit_id and not kits.serves(db, kit_id, visit.tenant):
        return "foreign-visit"
    if isinstance(body, VisitEvent):
        if body.state == "opened":
            holdings.begun(db, visit, kit_id, "", at, now)
        state = VisitState(body.state)
        why = stale.why(db, visit, kit_id, body.epoch)
        if why == "withdrawn" and state is VisitState.ABANDONED:
            return "old-news"  # the planner was first; there is nothing of it to decide
        if why is not None:
            stale.keep(db, visit, kit_id, why, body.epoch, state, now, reason=body.reason)
            return f"quarantine-{why}"
        return "visit" if visits.move(db, visit, state, body.reason) else "old-news"
    if body.state == "sealed":
        applications.announced(db, body.packet_id, visit, kit_id, body.manifest_sha256, now, body.epoch)
    return "application"  # uploaded, receipted, deleted: the fleet knew before the kit did
