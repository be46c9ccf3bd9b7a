"""Setting up a fleet from one document: municipalities first, then who and what belongs to them."""

from datetime import datetime

import msgspec
from sqlalchemy.orm import Session

from server.auth import accounts
from server.fleet import kits, municipalities, officers, rosters
from server.fleet.refused import Invalid


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class MunicipalityEntry(_Entry, frozen=True):
    tenant: str
    name: str
    postcodes: list[str]


class OfficerEntry(_Entry, frozen=True):
    id: str
    name: str
    tenant: str


class AccountEntry(_Entry, frozen=True):
    """`tenant` is empty for a fleet-admin."""

    name: str
    role: str
    password: str
    tenant: str = ""

    def __repr__(self) -> str:
        return f"AccountEntry({self.name!r})"


class KitEntry(_Entry, frozen=True):
    id: str
    bag_recipient: str
    tenants: list[str]
    officers: list[str] = []  # whom it was founded with


class Document(_Entry, frozen=True):
    municipalities: list[MunicipalityEntry] = []
    officers: list[OfficerEntry] = []
    accounts: list[AccountEntry] = []
    kits: list[KitEntry] = []


def add(db: Session, given: object, now: datetime) -> dict[str, list[str]]:
    """Add all of it; the ids by kind. Invalid, Refused or BadAccount for the first that does not fit."""
    try:
        document = msgspec.convert(given, Document)
    except msgspec.ValidationError as problem:
        place = str(problem).rpartition(" - at ")[2].strip("`") or "$"
        raise Invalid({place: "malformed"}) from problem
    for town in document.municipalities:
        municipalities.add(db, town.tenant, town.name, town.postcodes)
    for person in document.officers:
        officers.add(db, person.id, person.name, person.tenant)
    db.flush()
    made = [
        accounts.add(db, entry.name, entry.role, entry.tenant or None, entry.password, now)
        for entry in document.accounts
    ]
    for case in document.kits:
        kits.add(db, case.id, case.bag_recipient, case.tenants, now)
        db.flush()
        for officer_id in case.officers:
            rosters.put(db, case.id, officer_id, now, on_kit=True)
    return {
        "municipalities": [town.tenant for town in document.municipalities],
        "officers": [person.id for person in document.officers],
        "accounts": made,
        "kits": [case.id for case in document.kits],
    }
