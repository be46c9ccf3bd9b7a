"""The day bag of a kit: what its officers need today, built anew at every change and sealed to that kit."""

from dataclasses import dataclass, field
from datetime import date, datetime

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from protocol.bag import BagVisit, Citizen, DayBag, Place, seal_bag
from protocol.instant import write_instant
from protocol.lifecycle import VisitState
from server.db.field_key import FieldKey
from server.db.tables import Application, Kit, KitTenant, Request, Visit
from server.fleet import (
    abilities,
    incidents,
    municipalities,
    obstacles,
    outbox,
    persons,
    recaptures,
    visits,
)
from server.fleet.blobs import BlobStore


@dataclass(frozen=True)
class Sealer:
    """What sealing a bag takes: the fleet's command key, whose public half is pinned on every kit."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    kid: str


@dataclass(frozen=True)
class Built:
    """`replaced`: the blob of the bag before, to be dropped once this one is committed; "" when none."""

    version: int
    replaced: str


def build(
    db: Session, fields: FieldKey, sealer: Sealer, blobs: BlobStore, kit_id: str, now: datetime
) -> Built | None:
    """Build and keep the bag of `kit_id` for today, and ring its doorbell; what it cannot read stays out.

    None when the kit is unknown, retired or lost. `db` is a session for everyone: a kit may serve several."""
    kit = db.get(Kit, kit_id, with_for_update=True)
    if kit is None or kit.retired is not None or kit.lost is not None:
        return None
    today = visits.local_day(now)
    names = municipalities.names(db)
    there = [
        visit
        for visit in visits.of_day(db, today, kit_id)
        if visit.state != VisitState.ABANDONED and not abilities.held_back(kit, visit)
    ]
    shown = {visit.visit_id: visit for visit in (*there, *_sealed(db, kit_id, today))}
    lines = [_line(db, fields, visit, names) for visit in shown.values()]
    for visit_id, found in obstacles.of_visits(db, there, now).items():
        if found.code in obstacles.STOPS:  # planned when it could be; somebody has to do something today
            incidents.report(db, kit_id, "visit-cannot-open", visit_id, found.code, now)
    version = kit.bag_version + 1
    bag = DayBag(
        kit_id=kit_id,
        version=version,
        issued=write_instant(now),
        date=today.isoformat(),
        visits=tuple(lines),
    )
    replaced = kit.bag_sha256 or ""
    kit.bag_sha256 = blobs.put(seal_bag(bag, kit.bag_recipient, sealer.key, sealer.kid))
    kit.bag_version, kit.bag_date = version, today
    outbox.put_once(db, "doorbell", kit_id, now)
    return Built(version, replaced)


def take_away(db: Session, blobs: BlobStore) -> None:
    """The bags of kits that get none any more, with the names in them. One that is found gets a new one."""
    gone = or_(Kit.retired.is_not(None), Kit.lost.is_not(None))
    for kit in db.scalars(select(Kit).where(gone, Kit.bag_sha256.is_not(None)).with_for_update()):
        assert kit.bag_sha256 is not None
        blobs.drop(kit.bag_sha256)
        kit.bag_sha256 = None


def renew(db: Session, now: datetime) -> None:
    """Ask for a new bag for every kit whose bag is not today's: yesterday's names must not stay."""
    today = visits.local_day(now)
    stale = or_(Kit.bag_date.is_(None), Kit.bag_date != today)
    for kit_id in db.scalars(select(Kit.kit_id).where(Kit.retired.is_(None), Kit.lost.is_(None), stale)):
        if not outbox.concerns(db, "bag", kit_id):
            outbox.put(db, "bag", kit_id, now)


def _sealed(db: Session, kit_id: str, today: date) -> list[Visit]:
    """Today's visits that this kit sealed, its own or not any more: who did one must see where it is."""
    begin, end = visits.span(today)
    query = select(Visit).join(Application, Application.visit_id == Visit.visit_id).distinct()
    serves = select(KitTenant.tenant).where(KitTenant.kit_id == kit_id)
    query = query.where(Application.kit_id == kit_id, Visit.starts >= begin, Visit.starts < end)
    return list(db.scalars(query.where(Visit.tenant.in_(serves)).order_by(Visit.starts)))


def _line(db: Session, fields: FieldKey, visit: Visit, names: dict[str, str]) -> BagVisit:
    request = db.get(Request, visit.request_id)
    assert request is not None  # a foreign key says so
    person, asked = persons.open_(fields, request), recaptures.of_visit(db, visit)
    return BagVisit(
        visit_id=visit.visit_id,
        service_id=visit.service_id,
        tenant=visit.tenant,
        municipality=names[visit.tenant],
        starts=write_instant(visit.starts),
        ends=write_instant(visit.ends),
        officer_id=visit.officer_id,
        language=request.language,
        citizen=Citizen(
            name=person.name,
            birth_date=person.birth_date,
            national_number=person.national_number,
            phone=person.phone,
        ),
        place=Place(
            street=person.street,
            postcode=request.postcode,
            municipality=request.municipality,
            note=person.note,
        ),
        evidence=request.evidence,
        epoch=visit.epoch,
        supplements=recaptures.told(asked) if asked is not None else msgspec.UNSET,
    )
