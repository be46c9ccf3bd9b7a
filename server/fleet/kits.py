"""The kits: registered by the administrator, retired for good, lent to municipalities."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.identity import KIT_ID
from protocol.sealed.agekeys import BadKey, read_recipient
from server.db.tables import Kit, KitTenant, Municipality
from server.fleet import outbox
from server.fleet.refused import Refused

RESERVED = "kit-canary-"  # certificates of such names try the broker out; they never belong to a kit


def add(db: Session, kit_id: str, bag_recipient: str, tenants: list[str], now: datetime) -> None:
    """A new kit, and an (empty) day bag for it. `bag_recipient`: its age1pq1... bag key.

    Refused: bad-kit-id, bad-bag-recipient, kit-exists, unknown-municipality."""
    if not KIT_ID.fullmatch(kit_id) or kit_id.startswith(RESERVED):
        raise Refused("bad-kit-id")
    try:
        read_recipient(bag_recipient)
    except BadKey as problem:
        raise Refused("bad-bag-recipient") from problem
    if db.get(Kit, kit_id) is not None:
        raise Refused("kit-exists")
    if not tenants or any(db.get(Municipality, tenant) is None for tenant in tenants):
        raise Refused("unknown-municipality")
    db.add(Kit(kit_id=kit_id, bag_recipient=bag_recipient, added=now))
    db.flush()
    db.add_all(KitTenant(kit_id=kit_id, tenant=tenant) for tenant in sorted(set(tenants)))
    outbox.put_once(db, "bag", kit_id, now)
    outbox.put_once(db, "broker", kit_id, now)


def retire(db: Session, kit_id: str, now: datetime) -> None:
    """From now on the kit may neither upload nor fetch. Refused: unknown-kit."""
    kit = db.get(Kit, kit_id)
    if kit is None:
        raise Refused("unknown-kit")
    kit.retired = kit.retired or now


def missing(db: Session, kit_id: str, now: datetime) -> None:
    """No lease and no bag any more: the kit closes by itself. What it sealed is still taken. Refused:
    unknown-kit."""
    _one(db, kit_id).lost = _one(db, kit_id).lost or now


def found(db: Session, kit_id: str, now: datetime) -> None:
    """It is back: leases and bags again. Refused: unknown-kit."""
    _one(db, kit_id).lost = None
    outbox.put_once(db, "bag", kit_id, now)
    outbox.put_once(db, "doorbell", kit_id, now)


def _one(db: Session, kit_id: str) -> Kit:
    kit = db.get(Kit, kit_id)
    if kit is None:
        raise Refused("unknown-kit")
    return kit


def active(db: Session, kit_id: str) -> Kit | None:
    """The kit, unless it is unknown or retired."""
    kit = db.get(Kit, kit_id)
    return kit if kit is not None and kit.retired is None else None


def all_active(db: Session) -> list[str]:
    """The ids of all kits that are not retired."""
    return list(db.scalars(select(Kit.kit_id).where(Kit.retired.is_(None)).order_by(Kit.kit_id)))


def visible(db: Session) -> list[Kit]:
    """The kits that serve a municipality in the scope of the session, by id."""
    query = select(Kit).where(Kit.kit_id.in_(select(KitTenant.kit_id))).order_by(Kit.kit_id)
    return list(db.scalars(query))


def visible_one(db: Session, kit_id: str) -> Kit:
    """One of `visible`. Refused unknown-kit: also for a kit that only serves others."""
    kit = db.scalar(
        select(Kit).join(KitTenant, KitTenant.kit_id == Kit.kit_id).where(Kit.kit_id == kit_id).limit(1)
    )
    if kit is None:
        raise Refused("unknown-kit")
    return kit


def serving(db: Session, tenant: str) -> list[Kit]:
    """The kits that can be planned for visits of `tenant`."""
    return list(
        db.scalars(
            select(Kit)
            .join(KitTenant, KitTenant.kit_id == Kit.kit_id)
            .where(KitTenant.tenant == tenant, Kit.retired.is_(None))
            .order_by(Kit.kit_id)
        )
    )


def serves(db: Session, kit_id: str, tenant: str) -> bool:
    return db.get(KitTenant, (kit_id, tenant)) is not None
