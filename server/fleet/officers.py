"""The officers who go out, by municipality."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.identity import OFFICER_ID
from server.db.tables import Municipality, Officer
from server.fleet.refused import Refused


def add(db: Session, officer_id: str, name: str, tenant: str) -> None:
    """A new officer. Refused: bad-officer-id, bad-name, unknown-municipality, officer-exists."""
    if not OFFICER_ID.fullmatch(officer_id):
        raise Refused("bad-officer-id")
    if not 2 <= len(name.strip()) <= 80:
        raise Refused("bad-name")
    if db.get(Municipality, tenant) is None:
        raise Refused("unknown-municipality")
    if db.get(Officer, officer_id) is not None:
        raise Refused("officer-exists")
    db.add(Officer(officer_id=officer_id, name=name.strip(), tenant=tenant))


def of_tenant(db: Session, tenant: str) -> list[Officer]:
    return list(db.scalars(select(Officer).where(Officer.tenant == tenant).order_by(Officer.name)))
