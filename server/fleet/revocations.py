"""A kit that is lost or retired: the wish, and where and when it has taken effect.

The flag in the database comes first and is enough for the listener for kits: it asks at every call. What lies
outside the database (the broker, the revocation lists) is done by `server.broker` and noted here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.db.tables import Revocation, RevocationEffect
from server.fleet import kits, outbox

Reason = Literal["lost", "retired"]
Effect = Literal[
    "door",  # no call of the kit is answered any more, uploads and renewal among them
    "broker-session",  # its session has ended, and it may do nothing at the broker
    "broker-list",  # the broker refuses its certificate
    "door-list",  # the listener for kits refuses its certificate before it can say a word
]
State = Literal["waiting", "done", "failed"]
EFFECTS: Sequence[Effect] = get_args(Effect)
LONGEST_DETAIL = 300


@dataclass(frozen=True)
class EffectLine:
    """`after`: how long after the wish it took effect (or failed); None while it waits."""

    effect: Effect
    state: State
    at: datetime
    after: timedelta | None
    detail: str


@dataclass(frozen=True)
class Standing:
    reason: Reason
    asked: datetime
    asked_by: str
    effects: tuple[EffectLine, ...]

    @property
    def whole(self) -> bool:
        """Whether it has taken effect everywhere."""
        return all(line.state == "done" for line in self.effects)


def begin(db: Session, kit_id: str, reason: Reason, asked_by: str, now: datetime) -> None:
    """From this transaction on the kit gets and gives nothing over HTTPS; the rest is put to work. A second
    wish changes nothing but is worked on again. Refused unknown-kit."""
    kits.retire(db, kit_id, now)
    if db.get(Revocation, kit_id) is None:
        db.add(Revocation(kit_id=kit_id, reason=reason, asked=now, asked_by=asked_by[:80]))
        db.flush()
        for effect in EFFECTS:
            note(db, kit_id, effect, "done" if effect == "door" else "waiting", "", now)
    outbox.put_once(db, "broker", kit_id, now)


def note(db: Session, kit_id: str, effect: Effect, state: State, detail: str, now: datetime) -> None:
    """How one effect stands. What was done stays done, at the time it was."""
    row = db.get(RevocationEffect, (kit_id, effect))
    if row is None:
        row = RevocationEffect(kit_id=kit_id, effect=effect)
        db.add(row)
    elif row.state == "done":
        return
    row.state, row.at, row.detail = state, now, detail[:LONGEST_DETAIL]


def standing(db: Session, kit_id: str) -> Standing | None:
    """None for a kit that was never revoked."""
    revocation = db.get(Revocation, kit_id)
    if revocation is None:
        return None
    rows = db.scalars(select(RevocationEffect).where(RevocationEffect.kit_id == kit_id))
    found = {row.effect: row for row in rows}
    lines = []
    for effect in EFFECTS:
        if (row := found.get(effect)) is not None:
            after = None if row.state == "waiting" else row.at - revocation.asked
            lines.append(EffectLine(effect, _state(row.state), row.at, after, row.detail))
    return Standing(
        "lost" if revocation.reason == "lost" else "retired",
        revocation.asked,
        revocation.asked_by,
        tuple(lines),
    )


def waiting(db: Session, kit_id: str) -> set[Effect]:
    """What has not yet taken effect. Empty for a kit that was never revoked."""
    found = standing(db, kit_id)
    return {line.effect for line in found.effects if line.state != "done"} if found else set()


def _state(text: str) -> State:
    return "done" if text == "done" else "failed" if text == "failed" else "waiting"
