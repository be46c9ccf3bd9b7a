"""What each kit is wished to be set to, signed and versioned, and what it says that it is.

A wish replaces the one before as a whole; versions only grow, also beyond what a kit has reported, so that a
database put back from a backup is not taken for an old one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.desired import BOUNDS, WORDS, DesiredState, problem_of, sign_desired
from protocol.instant import write_instant
from protocol.messages import Envelope, Reported, SettingResult
from server.auth.roles import Actor
from server.db.tables import Kit, KitTwin
from server.db.turns import take_turn
from server.fleet import kits, outbox
from server.fleet.bags import Sealer
from server.fleet.refused import Refused

SETTINGS = (*BOUNDS, *WORDS)
LIFE = timedelta(days=400)  # as long as a kit may lie in a drawer
RENEWED = timedelta(days=200)  # so long before its end a wish is signed again


@dataclass(frozen=True)
class Line:
    """One setting: what is wished, and what the kit made of it. `state`: "waiting" until it has said."""

    key: str
    wanted: int | str | None
    state: Literal["", "waiting", "applied", "refused", "pending"]
    code: str


@dataclass(frozen=True)
class Standing:
    """`refused`: why the kit took no newer wish; `reported` is the version it stands at."""

    version: int
    set_by: str
    set_at: datetime | None
    reported: int | None
    reported_at: datetime | None
    refused: str
    lines: tuple[Line, ...]


def wish(db: Session, actor: Actor, kit_id: str, settings: Mapping[str, int | str], now: datetime) -> KitTwin:
    """All that is wished of a kit in the scope of `db`; what is not named is left to the kit's own file.

    Refused: not-allowed, unknown-kit, kit-retired, unknown-setting, setting-out-of-range."""
    if not actor.may("steer"):
        raise Refused("not-allowed")
    if kits.visible_one(db, kit_id).retired is not None:
        raise Refused("kit-retired")
    for name, value in settings.items():
        if problem := problem_of(name, value):
            raise Refused("unknown-setting" if problem == "unknown" else "setting-out-of-range")
    row = _row(db, kit_id)
    if row.version and row.settings == dict(settings):
        return row
    row.version = max(row.version, _version(row) or 0) + 1
    row.settings, row.token = dict(settings), ""
    row.set_by, row.set_at, row.not_after = actor.name[:64], now, None
    db.flush()
    outbox.put(db, "steer", kit_id, now, body="twin")
    return row


def sign(db: Session, sealer: Sealer, kit_id: str, now: datetime) -> str:
    """Make the document, and have it shown to the kit; what became of it, a code."""
    row = db.get(KitTwin, kit_id, with_for_update=True)
    if row is None or not row.version:
        return "nothing-to-sign"
    row.not_after = now + LIFE
    settings = {name: value for name, value in row.settings.items() if isinstance(value, int | str)}
    document = DesiredState(
        v=1,
        kit_id=kit_id,
        version=row.version,
        issued=write_instant(now),
        not_after=write_instant(row.not_after),
        settings=settings,
    )
    row.token = sign_desired(document, sealer.key, sealer.kid)
    outbox.put_once(db, "desired", kit_id, now)
    return f"version-{row.version}"


def document(db: Session, kit_id: str) -> str | None:
    """The signed wish of a kit that is not retired; None where nothing was ever wished."""
    row = db.get(KitTwin, kit_id)
    return row.token or None if row is not None and kits.active(db, kit_id) is not None else None


def renew(db: Session, now: datetime) -> None:
    """Have signed again what will end."""
    ending = select(KitTwin.kit_id).where(KitTwin.not_after < now + RENEWED)
    for kit_id in db.scalars(ending.join(Kit, Kit.kit_id == KitTwin.kit_id).where(Kit.retired.is_(None))):
        outbox.put_once(db, "steer", kit_id, now, "twin")


def show_again(db: Session, now: datetime) -> None:
    """The broker has lost what it kept: every kit's wish is published anew."""
    signed = select(KitTwin.kit_id).where(KitTwin.token != "").order_by(KitTwin.kit_id)
    for kit_id in db.scalars(signed):
        outbox.put_once(db, "desired", kit_id, now)


def take(db: Session, envelope: Envelope, body: Reported, now: datetime) -> str:
    """What a kit says of its settings; a code for what became of it. The newest counts."""
    row = _row(db, envelope.kit)
    if (envelope.ses, envelope.seq) <= (row.reported_ses, row.reported_seq):
        return "again"
    row.reported_ses, row.reported_seq = envelope.ses, envelope.seq
    row.reported, row.reported_at = msgspec.to_builtins(body), now
    return "state"


def standing(db: Session, kit_id: str) -> Standing:
    """What is wished of a kit and what it says, setting by setting."""
    row = db.get(KitTwin, kit_id) or _fresh(kit_id)
    said = _reported(row)
    current = said is not None and said.version == row.version
    results: dict[str, SettingResult] = (
        {each.key: each for each in said.results} if said is not None and current else {}
    )
    lines = []
    for key in SETTINGS:
        wanted = row.settings.get(key)
        result = results.get(key)
        state: Literal["", "waiting", "applied", "refused", "pending"] = ""
        if result is not None:
            state = result.state
        elif wanted is not None:
            state = "refused" if current else "waiting"  # it knows no such setting, or has not said yet
        value = wanted if isinstance(wanted, int | str) else None
        lines.append(
            Line(
                key,
                value,
                state,
                result.code if result is not None else "unknown" if state == "refused" else "",
            )
        )
    return Standing(
        row.version,
        row.set_by,
        row.set_at,
        said.version if said is not None else None,
        row.reported_at,
        said.refused if said is not None else "",
        tuple(lines),
    )


def _row(db: Session, kit_id: str) -> KitTwin:
    take_turn(db, f"twin {kit_id}")
    row = db.get(KitTwin, kit_id, with_for_update=True)
    if row is None:
        row = _fresh(kit_id)
        db.add(row)
        db.flush()
    return row


def _fresh(kit_id: str) -> KitTwin:
    return KitTwin(kit_id=kit_id, version=0, settings={}, set_by="", token="", reported_ses=0, reported_seq=0)


def _reported(row: KitTwin) -> Reported | None:
    return None if row.reported is None else msgspec.convert(row.reported, Reported)


def _version(row: KitTwin) -> int | None:
    said = _reported(row)
    return said.version if said is not None else None
