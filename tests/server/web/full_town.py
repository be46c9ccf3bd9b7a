"""A town with something of everything on its pages: as long and as bad as it gets."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import get_args

from sqlalchemy import update

from protocol.ids import new_ulid
from protocol.messages import AccessEvent, ApplicationEvent, Presence, VisitEvent
from server.broker.checks import all as checks
from server.db.scope import EVERYONE
from server.db.tables import Application, KitLease, OutboxRow
from server.fleet import (
    applications,
    broker_health,
    incidents,
    kits,
    officers,
    revocations,
    rosters,
    visits,
)
from tests.server.fleet import test_quarantine as quarantined
from tests.server.fleet.test_custody import whole
from tests.server.fleet.test_ingest import health, say
from tests.server.town import BRUGGE, DAMME, KIT, OTHER_KIT, Town
from tests.server.web.test_pages import birth

MISSING_KIT, THIRD_KIT = "kit-brugge-02", "kit-damme-02"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Full:
    """A request to plan; the code of one whose application went all the way, and that application."""

    request_id: str
    code: str
    packet_id: str


def fill(town: Town) -> Full:
    """`KIT` is ill, `MISSING_KIT` is missing, `OTHER_KIT` is refused for good."""
    made = town.ask(name="Godelieve Van Steenkiste")
    packet_id = whole(town, request_id=made.request_id).packet_id
    _kits(town)
    _undecided(town)
    _incidents(town)
    _broker(town)
    visit = town.plan(hour=13)
    say(town, Presence("online"))
    say(town, birth("reduced"))
    bad = {"card": "ok", "camera": "missing", "signature": "degraded"}
    say(town, health(peripherals=bad, battery=12, oldest_waiting_s=90_000))
    say(town, VisitEvent(visit.visit_id, "opened"))
    say(town, AccessEvent("code-used", hashlib.sha256(b"an.peeters").hexdigest()))
    _stuck(town)
    _of_damme(town)
    _rosters(town)
    long = {"name": "Marie-Christine Vanderstraeten-Van den Bossche", "municipality": "Sint-Andries"}
    return Full(town.ask(**long).request_id, made.code, packet_id)


def _kits(town: Town) -> None:
    with town.database.writing(EVERYONE) as db:
        kits.add(db, MISSING_KIT, town.ground.bag[1], [BRUGGE], NOW)
        kits.add(db, THIRD_KIT, town.ground.bag[1], [DAMME], NOW)
        for kit_id, ends in ((KIT, NOW + DAY), (MISSING_KIT, NOW + DAY / 2), (OTHER_KIT, NOW - DAY)):
            db.add(KitLease(kit_id=kit_id, epoch=0, turned=NOW, granted=NOW, ends=ends))
        kits.missing(db, MISSING_KIT, NOW)
        revocations.begin(db, OTHER_KIT, "lost", "vloot", NOW)
        revocations.note(db, OTHER_KIT, "broker-session", "done", "", NOW + timedelta(seconds=1.2))
        detail = "mosquitto has not read the list of /etc/mosquitto/thuisloket/release-0042/revoked.pem"
        revocations.note(db, OTHER_KIT, "broker-list", "failed", detail, NOW)


def _undecided(town: Town) -> None:
    visit = town.plan(hour=10)
    quarantined.unassign(town, visit)
    for word in ("opened", "sealed"):
        say(town, VisitEvent(visit.visit_id, word))
    quarantined.upload(town, town.packet(visit, seq=2))


def _incidents(town: Town) -> None:
    with town.database.writing(EVERYONE) as db:
        for code in get_args(incidents.Code):
            incidents.report(db, KIT, code, new_ulid(), "captures hard-limit", NOW)
        seen = incidents.listed(db)[0].incident_id
        incidents.acknowledge(db, town.actor("admin"), seen, NOW)


def _rosters(town: Town) -> None:
    """An opens the kit, Bo is going and has a visit, Els has a code and a visit, Fons is not on the list."""
    with town.database.writing(EVERYONE) as db:
        for officer_id, name in (("els.claes", "Els Claes"), ("fons.de.wit", "Fons De Wit")):
            officers.add(db, officer_id, name, BRUGGE)
        db.flush()
        for officer_id in ("an.peeters", "bo.claes"):
            rosters.put(db, KIT, officer_id, NOW, on_kit=True)
        rosters.put(db, KIT, "els.claes", NOW)
        rosters.enrol(db, KIT, "els.claes", b"sealed", NOW + 3 * DAY, NOW)
    town.plan(day=1, officer="bo.claes")
    town.plan(day=1, hour=11, officer="els.claes")
    with town.database.writing(EVERYONE) as db:
        rosters.take(db, KIT, "bo.claes", NOW, last=False)


def _broker(town: Town) -> None:
    with town.database.writing(EVERYONE) as db:
        for place, one in enumerate(checks.CHECKS):
            broker_health.note(db, one.name, place, place > 0, SEEN, "" if place else REMEDY, NOW)


def _stuck(town: Town) -> None:
    visit = town.plan(hour=15)
    packet_id = new_ulid()
    say(town, VisitEvent(visit.visit_id, "opened"))
    say(town, ApplicationEvent(packet_id, visit.visit_id, "sealed", "a" * 64))
    with town.database.writing(EVERYONE) as db:
        row = db.get_one(Application, packet_id)
        row.state = "uploaded"
        applications.stuck(row, "service-400", NOW)
        db.execute(update(OutboxRow).where(OutboxRow.queue == "forward").values(error="service-resting"))


def _of_damme(town: Town) -> None:
    """So that the counts stand apart by municipality."""
    clerk = town.actor(tenant=DAMME)
    request_id = town.ask(postcode="8340", municipality="Damme").request_id
    starts = NOW + DAY
    with town.database.writing(clerk.scope) as db:
        visit = visits.plan(db, clerk, request_id, "cis.maes", THIRD_KIT, starts, 45, NOW)
    say(town, ApplicationEvent(new_ulid(), visit.visit_id, "sealed", "a" * 64), kit=THIRD_KIT)


SEEN = "a second session of kit-canary-01 took the place of the first, and its last will was published"
REMEDY = "write use_username_as_clientid true in /etc/mosquitto/conf.d/thuisloket.conf, then restart"
