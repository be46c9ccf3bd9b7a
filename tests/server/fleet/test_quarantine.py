"""What a kit did for a visit that was no longer its own waits for a person, and nothing of it is lost."""

from datetime import UTC, datetime
from hashlib import sha256

import pytest
from sqlalchemy import delete, select

from protocol.bag import open_bag
from protocol.ids import new_ulid
from protocol.lifecycle import ApplicationState, VisitState
from protocol.messages import ApplicationEvent, VisitEvent
from protocol.sealed.packet import Sealed
from server.db.scope import EVERYONE
from server.db.tables import Application, Booking, Kit, KitTenant, OutboxRow, Quarantined, Request, Visit
from server.fleet import applications, bags, quarantine, uploads, visits
from server.fleet.quarantine import Matter
from server.fleet.refused import Refused
from tests.server.fleet.test_ingest import receipts, say, visit_state
from tests.server.town import BRUGGE, DAMME, KIT, OTHER_KIT, Town

NOW = datetime.now(UTC)


def unassign(town: Town, visit: Visit) -> None:
    clerk = town.actor()
    with town.database.writing(clerk.scope) as db:
        visits.unassign(db, clerk, visit.visit_id, NOW)


def waiting(town: Town) -> list[Matter]:
    with town.database.reading(town.actor().scope) as db:
        return quarantine.waiting(db)


def decide(town: Town, decision: str, item_id: str = "") -> None:
    clerk = town.actor("inclusion")
    with town.database.writing(clerk.scope) as db:
        quarantine.decide(db, clerk, item_id or waiting(town)[0].item_id, decision, datetime.now(UTC))


def upload(town: Town, sealed: Sealed, kit_id: str = KIT) -> None:
    packet_id, data = sealed.manifest.packet_id, sealed.data
    about = (town.database, town.dock, kit_id, packet_id)
    standing = uploads.begin(*about, len(data), sha256(data).hexdigest(), NOW)
    for offset in range(0, len(data), uploads.LONGEST_PATCH):
        part = data[offset : offset + uploads.LONGEST_PATCH]
        uploads.write(*about, offset, standing.generation, part, NOW)


def state(town: Town, packet_id: str) -> str:
    with town.database.reading(EVERYONE) as db:
        return db.get_one(Application, packet_id).state


def forwards(town: Town) -> list[str]:
    with town.database.reading(EVERYONE) as db:
        return list(db.scalars(select(OutboxRow.subject).where(OutboxRow.queue == "forward")))


def test_an_event_of_a_visit_that_was_taken_back_waits_and_is_receipted(town: Town) -> None:
    visit = town.plan()
    unassign(town, visit)
    assert say(town, VisitEvent(visit.visit_id, "opened")) == "quarantine-withdrawn"
    assert visit_state(town, visit) == VisitState.ABANDONED
    assert len(receipts(town)) == 1
    (matter,) = waiting(town)
    assert (matter.kit_id, matter.why, matter.states) == (KIT, "withdrawn", ("opened",))
    assert matter.choices == ("take", "leave")


def test_done_all_the_same_and_taken_it_counts_and_its_twin_is_taken_back(town: Town) -> None:
    visit = town.plan(hour=9)
    unassign(town, visit)
    second = town.plan(visit.request_id, hour=11)
    sealed = town.packet(visit)
    packet_id = sealed.manifest.packet_id
    say(town, VisitEvent(visit.visit_id, "opened"))
    say(town, VisitEvent(visit.visit_id, "sealed"))
    say(town, ApplicationEvent(packet_id, visit.visit_id, "sealed", sealed.manifest_sha256))
    upload(town, sealed)
    assert state(town, packet_id) == ApplicationState.STUCK
    assert forwards(town) == []
    (matter,) = waiting(town)
    assert matter.packets == (packet_id,)
    decide(town, "take")
    assert (visit_state(town, visit), visit_state(town, second)) == (VisitState.SEALED, VisitState.ABANDONED)
    assert state(town, packet_id) == ApplicationState.UPLOADED
    assert forwards(town) == [packet_id]
    assert waiting(town) == []
    with town.database.reading(EVERYONE) as db:
        assert db.get_one(Request, visit.request_id).state == VisitState.SEALED


def test_taken_while_somebody_is_there_again_the_second_application_waits_for_a_person(town: Town) -> None:
    visit = town.plan(hour=9)
    say(town, VisitEvent(visit.visit_id, "opened"))
    unassign(town, visit)
    second = town.plan(visit.request_id, hour=11)
    say(town, VisitEvent(second.visit_id, "opened"))
    upload(town, town.packet(visit))
    decide(town, "take")
    assert visit_state(town, second) == VisitState.ABANDONED
    again = town.packet(second, seq=2)
    upload(town, again)
    assert state(town, again.manifest.packet_id) == ApplicationState.STUCK
    (matter,) = waiting(town)
    assert (matter.visit_id, matter.why) == (second.visit_id, "withdrawn")


def test_what_waits_for_a_decision_is_not_sent_without_one(town: Town) -> None:
    visit = town.plan()
    unassign(town, visit)
    sealed = town.packet(visit)
    upload(town, sealed)
    clerk = town.actor()
    with pytest.raises(Refused, match="undecided"), town.database.writing(clerk.scope) as db:
        applications.release(db, clerk, sealed.manifest.packet_id, NOW)
    assert forwards(town) == []


def test_what_a_taken_visits_kit_says_next_counts_at_once(town: Town) -> None:
    visit = town.plan()
    unassign(town, visit)
    say(town, VisitEvent(visit.visit_id, "opened"))
    decide(town, "take")
    assert visit_state(town, visit) == VisitState.OPENED
    assert say(town, VisitEvent(visit.visit_id, "sealed")) == "visit"


def test_forwarded_alone_what_is_planned_stays(town: Town) -> None:
    visit = town.plan(hour=9)
    unassign(town, visit)
    second = town.plan(visit.request_id, hour=11)
    sealed = town.packet(visit)
    upload(town, sealed)
    decide(town, "forward")
    assert forwards(town) == [sealed.manifest.packet_id]
    assert visit_state(town, second) == VisitState.PLANNED


def test_left_it_stays_and_can_still_be_released(town: Town) -> None:
    visit = town.plan()
    unassign(town, visit)
    sealed = town.packet(visit)
    upload(town, sealed)
    decide(town, "leave")
    assert waiting(town) == []
    assert state(town, sealed.manifest.packet_id) == ApplicationState.STUCK
    clerk = town.actor()
    with town.database.writing(clerk.scope) as db:
        applications.release(db, clerk, sealed.manifest.packet_id, NOW)
    assert forwards(town) == [sealed.manifest.packet_id]


def test_a_second_application_for_one_visit_waits(town: Town) -> None:
    visit = town.plan()
    upload(town, town.packet(visit, seq=1))
    second = town.packet(visit, seq=2)
    upload(town, second)
    assert state(town, second.manifest.packet_id) == ApplicationState.STUCK
    assert [matter.why for matter in waiting(town)] == ["done-already"]
    assert len(forwards(town)) == 1


def test_a_kit_that_no_longer_serves_the_municipality_loses_nothing(town: Town) -> None:
    visit = town.plan()
    with town.database.writing(EVERYONE) as db:
        db.delete(db.get_one(KitTenant, (KIT, BRUGGE)))
    assert say(town, VisitEvent(visit.visit_id, "opened")) == "quarantine-kit-moved-on"
    upload(town, town.packet(visit))
    assert [matter.why for matter in waiting(town)] == ["kit-moved-on"]


def test_a_visit_given_to_another_kit_waits_when_the_first_did_it(town: Town) -> None:
    visit = town.plan()
    with town.database.writing(EVERYONE) as db:
        db.add(KitTenant(kit_id=OTHER_KIT, tenant=BRUGGE))
        row = db.get_one(Visit, visit.visit_id)
        row.kit_id, row.epoch = OTHER_KIT, 2
    assert say(town, VisitEvent(visit.visit_id, "opened")) == "quarantine-other-kit"
    upload(town, town.packet(visit))
    assert say(town, VisitEvent(visit.visit_id, "opened", epoch=2), kit=OTHER_KIT) == "visit"
    assert say(town, VisitEvent(visit.visit_id, "sealed", epoch=1), kit=OTHER_KIT) == "quarantine-old-epoch"
    assert [(matter.kit_id, matter.why) for matter in waiting(town)] == [
        (KIT, "other-kit"),
        (OTHER_KIT, "old-epoch"),
    ]


def test_what_the_first_kit_did_is_taken_and_the_second_is_not_sent_there(town: Town) -> None:
    visit, clerk = town.plan(), town.actor()
    with town.database.writing(EVERYONE) as db:
        db.add(KitTenant(kit_id=OTHER_KIT, tenant=BRUGGE))
    with town.database.writing(clerk.scope) as db:
        visits.hand_over(db, clerk, visit.visit_id, OTHER_KIT, NOW)
    with town.database.writing(EVERYONE) as db:
        db.execute(delete(OutboxRow).where(OutboxRow.queue == "bag"))
    assert say(town, VisitEvent(visit.visit_id, "sealed")) == "quarantine-other-kit"
    (matter,) = waiting(town)
    assert (matter.request_id, matter.starts) == (visit.request_id, visit.starts)
    decide(town, "take")
    with town.database.reading(EVERYONE) as db:
        row = db.get_one(Visit, visit.visit_id)
        bags_ = sorted(db.scalars(select(OutboxRow.subject).where(OutboxRow.queue == "bag")))
        booked = set(db.scalars(select(Booking.resource)))
    assert (row.kit_id, row.state) == (KIT, VisitState.SEALED)
    assert bags_ == [KIT, OTHER_KIT]
    assert f"kit:{OTHER_KIT}" not in booked


def test_what_was_sealed_is_counted_whatever_becomes_of_it(town: Town) -> None:
    visit = town.plan()
    unassign(town, visit)
    for number in range(1, 4):
        upload(town, town.packet(visit, seq=number))
    with town.database.reading(EVERYONE) as db:
        assert sum(applications.counts(db).values()) == 3


def test_the_bag_says_which_assignment_it_is(town: Town) -> None:
    visit = town.plan()
    with town.database.writing(EVERYONE) as db:
        db.get_one(Visit, visit.visit_id).epoch = 7
        built = bags.build(db, town.fields, town.sealer, town.dock.blobs, KIT, datetime.now(UTC))
    assert built is not None
    with town.database.reading(EVERYONE) as db:
        digest = db.get_one(Kit, KIT).bag_sha256 or ""
    bag = open_bag(town.dock.blobs.read(digest), town.ground.bag[0], town.command_keys).bag
    assert [line.epoch for line in bag.visits] == [7]


def test_only_who_may_decides_and_only_once(town: Town) -> None:
    visit = town.plan()
    unassign(town, visit)
    say(town, VisitEvent(visit.visit_id, "opened"))
    item_id = waiting(town)[0].item_id
    for actor, given, decision, code in (
        (town.actor("admin"), item_id, "take", "not-allowed"),
        (town.actor("planner", DAMME), item_id, "take", "unknown-item"),
        (town.actor(), new_ulid(), "take", "unknown-item"),
        (town.actor(), item_id, "forward", "bad-decision"),
        (town.actor(), item_id, "burn", "bad-decision"),
    ):
        with pytest.raises(Refused, match=code), town.database.writing(actor.scope) as db:
            quarantine.decide(db, actor, given, decision, NOW)
    decide(town, "leave", item_id)
    with pytest.raises(Refused, match="decided-already"):
        decide(town, "take", item_id)
    with town.database.reading(EVERYONE) as db:
        assert db.get_one(Quarantined, item_id).decision == "leave"
