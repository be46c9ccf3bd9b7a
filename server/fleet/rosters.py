"""Which officers may open which kit: kept here, signed for the kit beside each lease (protocol 13).

A kit has a list from the day its first officers are told of; until then it lets in whom it was founded with.
Whoever may change a list does so for officers of the own municipality; a kit's list is of all it serves.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from protocol import enrolment, roster
from protocol.instant import write_instant
from protocol.roster import Listed, Roster, Waiting
from server.db.tables import Kit, KitOfficer, KitTenant, Officer
from server.fleet import outbox
from server.fleet.bags import Sealer
from server.fleet.refused import Refused

HOURS = 168
"""So long a kit that gets no newer list lets officers in."""

State = Literal["on-kit", "code-made", "no-code", "code-expired", "going"]


@dataclass(frozen=True)
class Line:
    """An officer on the list of a kit."""

    officer_id: str
    name: str
    state: State
    since: datetime | None  # on the kit
    until: datetime | None  # the code
    fetched: bool  # the kit has fetched the list as it is now


def put(db: Session, kit_id: str, officer_id: str, now: datetime, *, on_kit: bool = False) -> None:
    """Let an officer open a kit; `on_kit`: as one it was founded with. Twice is as once.

    Refused: unknown-kit, unknown-officer, kit-does-not-serve, roster-full."""
    kit, officer = _kit(db, kit_id), _officer(db, officer_id)
    if db.get(KitTenant, (kit_id, officer.tenant)) is None:
        raise Refused("kit-does-not-serve")
    here = db.get(KitOfficer, (kit_id, officer_id))
    if here is not None and here.taken is None:
        return
    if _count(db, kit_id) >= roster.MOST_OFFICERS:
        raise Refused("roster-full")
    if here is not None:  # taken off, and the kit has not said that it shut the officer out: then it has not
        here.taken, here.listed = None, now
    else:
        listed = KitOfficer(kit_id=kit_id, officer_id=officer_id, tenant=officer.tenant, listed=now)
        listed.on_kit = now if on_kit else None
        db.add(listed)
    _changed(db, kit, now)


def is_last(db: Session, kit_id: str, officer_id: str) -> bool:
    """Whether nobody else can open this kit, of whatever municipality: `db` is a session for everyone."""
    on_kit = select(KitOfficer.officer_id).where(
        KitOfficer.kit_id == kit_id, KitOfficer.on_kit.is_not(None), KitOfficer.taken.is_(None)
    )
    return set(db.scalars(on_kit)) == {officer_id}


def take(db: Session, kit_id: str, officer_id: str, now: datetime, *, last: bool) -> None:
    """No longer let an officer open a kit: it shuts the officer out when it next hears of it. `last`: as
    `is_last` says.

    Refused: unknown-kit, unknown-officer, not-listed, last-officer (nobody could open what it holds)."""
    kit = _kit(db, kit_id)
    listed = _listed(db, kit_id, officer_id)
    if last:
        raise Refused("last-officer")
    if listed.on_kit is None:
        db.delete(listed)
    else:  # until the kit says that it is done, the officer still opens it
        listed.taken, listed.enrolment, listed.enrolment_until = now, None, None
    db.flush()
    _changed(db, kit, now)


def enrol(db: Session, kit_id: str, officer_id: str, sealed: bytes, until: datetime, now: datetime) -> None:
    """Keep what lets a listed officer in with a code, in place of an older one.

    Refused: unknown-kit, unknown-officer, not-listed, already-on-kit, bad-enrolment, too-many-enrolments."""
    kit = _kit(db, kit_id)
    listed = _listed(db, kit_id, officer_id)
    if listed.on_kit is not None:
        raise Refused("already-on-kit")
    if not 0 < len(sealed) <= enrolment.LONGEST or until <= now:
        raise Refused("bad-enrolment")
    if listed.enrolment is None and len(_waiting(db, kit_id, now)) >= roster.MOST_ENROLMENTS:
        raise Refused("too-many-enrolments")
    listed.enrolment, listed.enrolment_until = sealed, until
    _changed(db, kit, now)


def heard(db: Session, kit_id: str, what: str, digest: str, now: datetime) -> None:
    """A kit says that it let an officer in, or shut one out; `digest`: SHA-256 of the officer's id."""
    if what not in ("officer-added", "officer-removed"):
        return
    for listed in db.scalars(select(KitOfficer).where(KitOfficer.kit_id == kit_id)):
        if hashlib.sha256(listed.officer_id.encode()).hexdigest() == digest:
            if what == "officer-removed" and listed.taken is not None:
                db.delete(listed)
                continue
            listed.on_kit = now if what == "officer-added" else None
            listed.enrolment = listed.enrolment_until = None


def document(db: Session, sealer: Sealer, kit: Kit, nonce: str, now: datetime) -> str:
    """The signed list of a kit, for the answer to `nonce`; nothing where it has none."""
    rows = db.execute(
        select(KitOfficer.officer_id, Officer.name)
        .join(Officer, Officer.officer_id == KitOfficer.officer_id)
        .where(KitOfficer.kit_id == kit.kit_id, KitOfficer.taken.is_(None))
        .order_by(KitOfficer.officer_id)
    ).all()
    if not kit.roster_version or not rows:
        return ""
    news = update(Kit).where(Kit.kit_id == kit.kit_id, Kit.roster_told != kit.roster_version)
    db.execute(news.values(roster_told=kit.roster_version))
    told = Roster(
        kit_id=kit.kit_id,
        nonce=nonce,
        version=kit.roster_version,
        issued=write_instant(now),
        hours=HOURS,
        officers=tuple(Listed(officer_id, name) for officer_id, name in rows),
        enrolments=tuple(
            Waiting(each.officer_id, base64.urlsafe_b64encode(each.enrolment or b"").rstrip(b"=").decode())
            for each in _waiting(db, kit.kit_id, now)
        ),
    )
    return roster.sign(told, sealer.key, sealer.kid)


def lines(db: Session, kit_id: str, now: datetime) -> list[Line]:
    """The list of a kit, as far as the session may see it, by name; with those who are going."""
    kit = db.get(Kit, kit_id)
    fetched = kit is not None and kit.roster_told >= kit.roster_version
    rows = db.execute(
        select(KitOfficer, Officer.name)
        .join(Officer, Officer.officer_id == KitOfficer.officer_id)
        .where(KitOfficer.kit_id == kit_id)
        .order_by(Officer.name)
    )
    return [
        Line(row.officer_id, name, _state(row, now), row.on_kit, row.enrolment_until, fetched)
        for row, name in rows
    ]


def others(db: Session, kit_id: str) -> list[Officer]:
    """Who could be put on the list of a kit, as far as the session may see them."""
    listed = select(KitOfficer.officer_id).where(KitOfficer.kit_id == kit_id, KitOfficer.taken.is_(None))
    served = select(KitTenant.tenant).where(KitTenant.kit_id == kit_id)
    query = select(Officer).where(Officer.officer_id.not_in(listed), Officer.tenant.in_(served))
    return list(db.scalars(query.order_by(Officer.name)))


def forget_expired(db: Session, now: datetime) -> None:
    """Keys under codes that can no longer be used need not lie here: a day of grace for slow clocks."""
    old = KitOfficer.enrolment_until < now - timedelta(days=1)
    db.execute(update(KitOfficer).where(old).values(enrolment=None))


def _state(row: KitOfficer, now: datetime) -> State:
    if row.taken is not None:
        return "going"
    if row.on_kit is not None:
        return "on-kit"
    if row.enrolment_until is None:
        return "no-code"
    return "code-made" if now < row.enrolment_until else "code-expired"


def _waiting(db: Session, kit_id: str, now: datetime) -> list[KitOfficer]:
    query = select(KitOfficer).where(
        KitOfficer.kit_id == kit_id,
        KitOfficer.enrolment.is_not(None),
        KitOfficer.enrolment_until > now,
    )
    return list(db.scalars(query.order_by(KitOfficer.officer_id)))


def _count(db: Session, kit_id: str) -> int:
    query = select(func.count()).select_from(KitOfficer)
    query = query.where(KitOfficer.kit_id == kit_id, KitOfficer.taken.is_(None))
    return db.scalar(query) or 0


def _changed(db: Session, kit: Kit, now: datetime) -> None:
    kit.roster_version += 1
    outbox.put_once(db, "doorbell", kit.kit_id, now)


def _kit(db: Session, kit_id: str) -> Kit:
    kit = db.get(Kit, kit_id, with_for_update=True)
    if kit is None or kit.retired is not None:
        raise Refused("unknown-kit")
    return kit


def _officer(db: Session, officer_id: str) -> Officer:
    officer = db.get(Officer, officer_id)
    if officer is None:
        raise Refused("unknown-officer")
    return officer


def _listed(db: Session, kit_id: str, officer_id: str) -> KitOfficer:
    _officer(db, officer_id)
    listed = db.get(KitOfficer, (kit_id, officer_id))
    if listed is None or listed.taken is not None:
        raise Refused("not-listed")
    return listed
