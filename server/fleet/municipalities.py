"""The municipalities that share the fleet, and which postcodes are theirs."""

import re

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.identity import TENANT
from server.db.tables import Municipality, Postcode
from server.fleet.refused import Refused

_POSTCODE = re.compile(r"[1-9][0-9]{3}")


def add(db: Session, tenant: str, name: str, postcodes: list[str]) -> None:
    """A new municipality. Refused: bad-tenant, -name, -postcode, municipality-exists, postcode-taken."""
    if not TENANT.fullmatch(tenant):
        raise Refused("bad-tenant")
    if not 2 <= len(name.strip()) <= 80:
        raise Refused("bad-name")
    if not postcodes or not all(_POSTCODE.fullmatch(postcode) for postcode in postcodes):
        raise Refused("bad-postcode")
    if db.get(Municipality, tenant) is not None:
        raise Refused("municipality-exists")
    if db.scalar(select(Postcode.postcode).where(Postcode.postcode.in_(postcodes)).limit(1)) is not None:
        raise Refused("postcode-taken")
    db.add(Municipality(tenant=tenant, name=name.strip()))
    db.flush()
    db.add_all(Postcode(postcode=postcode, tenant=tenant) for postcode in sorted(set(postcodes)))


def of_postcode(db: Session, postcode: str) -> Municipality | None:
    """Who answers for `postcode`; None when none of ours does."""
    return db.scalar(
        select(Municipality)
        .join(Postcode, Postcode.tenant == Municipality.tenant)
        .where(Postcode.postcode == postcode)
    )


def names(db: Session) -> dict[str, str]:
    """Name by tenant, in order of name."""
    rows = db.scalars(select(Municipality).order_by(Municipality.name))
    return {row.tenant: row.name for row in rows}
