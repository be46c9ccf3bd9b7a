"""What kits say over MQTT, taken in exactly once: the unique key, the change of state and the receipt to send
are one transaction, and only after it is the broker told that the message arrived.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import delete
from sqlalchemy.orm import Session

from protocol.lifecycle import VisitState
from protocol.messages import (
    ApplicationEvent,
    BadMessage,
    Birth,
    DeletionEvent,
    Envelope,
    Health,
    Presence,
    VisitEvent,
    decode,
    moment,
)
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.db.tables import Kit, Message, Visit
from server.fleet import applications, kits, outbox, visits

REMEMBERED = timedelta(days=90)


@dataclass(frozen=True)
class Heard:
    """What became of a message; `outcome` is a code for log and metrics."""

    kit_id: str
    message_id: str
    outcome: str


def take(database: Database, topic: str, payload: bytes, now: datetime) -> Heard:
    """Take in one message. Never raises for what a kit may send; what does not fit is named and dropped."""
    try:
        envelope = decode(topic, payload)
    except BadMessage as problem:
        return Heard("", "", f"refused-{problem.code}")
    with database.writing(EVERYONE) as db:
        return Heard(envelope.kit, envelope.id, _take(db, envelope, now))


def sweep(db: Session, now: datetime) -> None:
    """Forget messages so old that no kit can still be repeating them."""
    db.execute(delete(Message).where(Message.received < now - REMEMBERED))


def _take(db: Session, envelope: Envelope, now: datetime) -> str:
    kit = kits.active(db, envelope.kit)
    if kit is None:
        return "unknown-kit"
    body = envelope.body
    if isinstance(body, Presence | Birth | Health):
        return _state(kit, envelope, now)
    if not isinstance(body, VisitEvent | ApplicationEvent | DeletionEvent):
        return "not-for-us"
    # Also for one we have already: the kit sends again because our first receipt got lost.
    outbox.put(db, "receipt", envelope.kit, now, body=envelope.id)
    if db.get(Message, (envelope.kit, envelope.id)) is not None:
        return "again"
    # A deletion certificate is the kit's own: it can make it again from its journal for whoever asks.
    outcome = "deletion" if isinstance(body, DeletionEvent) else _event(db, kit, body, now)
    db.add(Message(kit_id=envelope.kit, message_id=envelope.id, received=now, outcome=outcome))
    return outcome


def _state(kit: Kit, envelope: Envelope, now: datetime) -> str:
    """The newest counts. A will was written when its session began: one of an older session is stale."""
    if envelope.ses < kit.session:
        return "old-session"
    kit.session = envelope.ses
    body = envelope.body
    if isinstance(body, Presence):
        kit.presence, kit.presence_at = body.s, now
    elif isinstance(body, Birth):
        kit.birth = msgspec.to_builtins(body)
    elif isinstance(body, Health):
        # Retained: it may be old. And a kit's clock may be ahead, which must not silence the kit later.
        at = min(moment(envelope.ts), now.replace(microsecond=now.microsecond // 1000 * 1000))
        if kit.health_at is not None and at < kit.health_at:
            return "older"
        kit.health, kit.health_at = msgspec.to_builtins(body), at
    return "state"


def _event(db: Session, kit: Kit, body: VisitEvent | ApplicationEvent, now: datetime) -> str:
    visit = db.get(Visit, body.visit_id, with_for_update=True)
    if visit is None:
        return "unknown-visit"
    if not kits.serves(db, kit.kit_id, visit.tenant):
        return "foreign-visit"
    if isinstance(body, VisitEvent):
        if visit.kit_id != kit.kit_id:
            return "other-kit"  # the visit was given to another kit meanwhile
        return "visit" if visits.move(db, visit, VisitState(body.state), body.reason) else "old-news"
    if body.state == "sealed":
        applications.announced(db, body.packet_id, visit, kit.kit_id, body.manifest_sha256, now)
    return "application"  # uploaded, receipted, deleted: the fleet knew before the kit did
