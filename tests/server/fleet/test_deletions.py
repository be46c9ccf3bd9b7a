"""What kits hold ends with their own signed word; what is forged is refused, and told to an administrator."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from protocol.deletion import Deletion, sign_deletion
from protocol.ids import new_ulid
from protocol.instant import write_instant
from protocol.lifecycle import ApplicationState, VisitState
from protocol.messages import ApplicationEvent, DeletionEvent, VisitEvent
from server.db.scope import EVERYONE, only
from server.db.tables import Application, Holding, Incident, Request, Visit
from server.fleet import holdings, incidents, ingest, overview, retention
from server.fleet.refused import Refused
from tests.server.fleet.test_ingest import message
from tests.server.town import BRUGGE, DAMME, KIT, OTHER_KIT, Town

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def tell(town: Town, body: Any, now: datetime = NOW, kit: str = KIT) -> str:
    roots = town.dock.roots
    return ingest.take(town.database, *message(body, kit=kit, ts=now), now, roots).outcome


def certificate(town: Town, visit: Visit, kit: str = KIT, signer: str = "", **changes: Any) -> DeletionEvent:
    members = {"kit_id": kit, "visit_id": visit.visit_id, "what": "captures", "why": "sealed"}
    deletion = Deletion(**({**members, "at": write_instant(NOW)} | changes))
    by = town.signer("kit-sign", signer or kit)
    return DeletionEvent(sign_deletion(deletion, by.key, by.chain))


def seen(town: Town, now: datetime = NOW, tenant: str = BRUGGE) -> overview.Overview:
    with town.database.reading(only(tenant)) as db:
        return overview.look(db, now)


def told(town: Town) -> list[str]:
    with town.database.reading(EVERYONE) as db:
        return [row.code for row in db.scalars(select(Incident))]


def sealed(town: Town, visit: Visit) -> str:
    """A packet that the kit says it sealed."""
    packet_id = new_ulid()
    tell(town, VisitEvent(visit.visit_id, "opened"))
    tell(town, ApplicationEvent(packet_id, visit.visit_id, "sealed", "a" * 64))
    return packet_id


def test_from_opening_to_certificates_the_fleet_knows_how_old_the_oldest_is(town: Town) -> None:
    visit = town.plan()
    assert seen(town).oldest is None
    packet_id = sealed(town, visit)
    late = seen(town, NOW + 3 * DAY)
    assert late.oldest is not None
    assert (NOW + 3 * DAY - late.oldest).days == 2 + (late.oldest <= NOW)
    assert list(late.oldest_of) == [KIT]
    assert seen(town, tenant=DAMME).oldest is None
    assert tell(town, certificate(town, visit)) == "deletion"
    assert seen(town).oldest is not None  # the packet is still there
    gone = certificate(town, visit, what="packet", packet_id=packet_id, why="hard-limit")
    assert tell(town, gone) == "deletion"
    assert seen(town).oldest is None
    assert seen(town).oldest_of == {}


def test_a_certificate_that_comes_before_the_report_counts_all_the_same(town: Town) -> None:
    visit = town.plan()
    assert tell(town, certificate(town, visit)) == "deletion"
    tell(town, VisitEvent(visit.visit_id, "opened"))
    assert seen(town).oldest is None


def test_a_clock_of_1970_makes_nothing_older_than_its_visit(town: Town) -> None:
    visit = town.plan()
    roots, topic = (
        town.dock.roots,
        message(VisitEvent(visit.visit_id, "opened"), ts=datetime(1970, 1, 2, tzinfo=UTC)),
    )
    ingest.take(town.database, *topic, NOW, roots)
    oldest = seen(town).oldest
    assert oldest is not None
    assert NOW - oldest < DAY


FORGED: dict[str, Callable[[Town, Visit], DeletionEvent]] = {
    "deletion-forged": lambda town, visit: certificate(town, visit, signer=OTHER_KIT),
    "deletion-foreign": lambda town, visit: certificate(town, visit, kit=OTHER_KIT),
    "deletion-unknown": lambda town, visit: certificate(town, visit, visit_id=new_ulid()),
}


@pytest.mark.parametrize("code", FORGED)
def test_a_forged_certificate_ends_nothing_and_is_an_incident(town: Town, code: str) -> None:
    visit = town.plan()
    sealed(town, visit)
    for _ in range(2):
        assert tell(town, FORGED[code](town, visit)) in (code, "deletion-untrusted")
    assert seen(town).oldest is not None
    assert set(told(town)) == {code}
    assert [line.code for line in seen(town).incidents] == told(town)
    assert seen(town, tenant=DAMME).incidents == ()


def test_a_changed_byte_of_a_certificate_is_found(town: Town) -> None:
    visit = town.plan()
    token = certificate(town, visit).certificate
    for place in range(0, len(token), max(1, len(token) // 40)):
        if token[place] == ".":
            continue
        other = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert tell(town, DeletionEvent(other)) == "deletion-untrusted"
    with town.database.reading(EVERYONE) as db:
        assert db.scalars(select(Holding).where(Holding.ended.is_not(None))).all() == []


def test_a_packet_of_another_visit_is_not_ended(town: Town) -> None:
    first, second = town.plan(hour=9), town.plan(hour=11)
    packet_id = sealed(town, first)
    wrong = certificate(town, second, what="packet", packet_id=packet_id, why="answered")
    assert tell(town, wrong) == "deletion-unknown"


def test_what_goes_without_an_answer_is_an_incident(town: Town) -> None:
    visit = town.plan()
    packet_id = sealed(town, visit)
    early = certificate(town, visit, what="packet", packet_id=packet_id, why="answered")
    assert tell(town, early) == "deletion"
    assert told(town) == ["deleted-unanswered"]


def test_the_hard_stop_is_an_incident_and_the_request_can_be_planned_again(town: Town) -> None:
    visit = town.plan()
    packet_id = sealed(town, visit)
    gone = certificate(town, visit, what="packet", packet_id=packet_id, why="hard-limit")
    assert tell(town, gone) == "deletion"
    assert told(town) == ["hard-limit"]
    with town.database.reading(EVERYONE) as db:
        assert db.get_one(Application, packet_id).state == ApplicationState.EXPIRED
        assert db.get_one(Request, visit.request_id).state == VisitState.ABANDONED
    assert seen(town).tally.refused == 1


def test_a_kit_that_keeps_silent_for_ninety_days_is_an_incident_once(town: Town) -> None:
    visit = town.plan()
    sealed(town, visit)
    for days, expected in ((89, 0), (91, 2), (92, 2)):
        with town.database.writing(EVERYONE) as db:
            holdings.watch(db, NOW + days * DAY)
        assert len(told(town)) == expected
    assert set(told(town)) == {"overdue"}


def test_only_an_administrator_of_the_kit_acknowledges(town: Town) -> None:
    visit = town.plan()
    tell(town, certificate(town, visit, kit=OTHER_KIT))
    with town.database.reading(EVERYONE) as db:
        incident_id = db.scalars(select(Incident.incident_id)).one()
    for actor, code in (
        (town.actor("planner"), "not-allowed"),
        (town.actor("admin", DAMME), "unknown-incident"),
    ):
        with pytest.raises(Refused, match=code), town.database.writing(actor.scope) as db:
            incidents.acknowledge(db, actor, incident_id, NOW)
    admin = town.actor("admin")
    for _ in range(2):
        with town.database.writing(admin.scope) as db:
            incidents.acknowledge(db, admin, incident_id, NOW)
    assert seen(town).incidents == ()
    with town.database.reading(EVERYONE) as db:
        assert db.get_one(Incident, incident_id).acknowledged_by == "tester"


def test_the_fleets_own_copy_goes_after_the_answer_and_at_ninety_days(town: Town) -> None:
    from server.fleet import applications
    from server.fleet.applications import Packet

    for seq, answer in ((1, True), (2, False)):
        visit = town.plan(hour=8 + 2 * seq)
        packet = town.packet(visit, seq)
        digest = town.dock.blobs.put(packet.data)
        core = packet.manifest
        arrived = Packet(
            core.packet_id, core.visit_id, core.tenant, core.service_id, core.kit_id,
            core.kit_cert_serial, seq, packet.manifest_sha256, len(packet.data), digest, "{}",
        )  # fmt: skip
        with town.database.writing(EVERYONE) as db:
            row = applications.arrived(db, arrived, NOW)
            if answer:
                applications.offered(db, row, NOW)
                from protocol.sealed.receipt import verify_receipt

                token = town.receipt(packet)
                receipt = verify_receipt(token, town.recipients.public_receipt_keys())
                applications.answered(db, row, receipt, token, NOW)
    assert retention.purge(town.database, town.dock.blobs, NOW) == 1
    assert retention.purge(town.database, town.dock.blobs, NOW + 89 * DAY) == 0
    assert told(town) == []
    assert retention.purge(town.database, town.dock.blobs, NOW + 91 * DAY) == 1
    assert told(town) == ["hard-limit"]
    assert not any(path.is_file() for path in (town.config.data / "blobs").rglob("*"))
