"""What comes after a decision: forwarded alone or left, an application changes nothing of what is planned."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, select

from protocol.lifecycle import ApplicationState, VisitState
from protocol.messages import ApplicationEvent, VisitEvent
from server.db.scope import EVERYONE
from server.db.tables import Application, KitTenant, OutboxRow, Request, Visit
from server.fleet import applications, quarantine, retention, supplements, visits
from server.fleet.holdings import HARD_LIMIT
from tests.server.fleet.test_abilities import in_bag
from tests.server.fleet.test_ingest import say, visit_state
from tests.server.fleet.test_quarantine import decide, forwards, state, unassign, upload, waiting
from tests.server.fleet.test_recaptures import UNTIL, answer, ask_anew
from tests.server.town import BRUGGE, KIT, OTHER_KIT, Town

NOW = datetime.now(UTC)


def request_state(town: Town, visit: Visit) -> str:
    with town.database.reading(EVERYONE) as db:
        return db.get_one(Request, visit.request_id).state


def told(town: Town, visit: Visit) -> list[tuple[str, str]]:
    """What the page of the request says beside this visit: which kit, and what was decided."""
    with town.database.reading(town.actor().scope) as db:
        return [
            (line.kit_id, line.decision)
            for line in quarantine.of_visits(db, [visit.visit_id]).get(visit.visit_id, [])
        ]


@pytest.mark.parametrize("verdict", ["accepted", "rejected"])
def test_forwarded_alone_its_answer_leaves_the_other_visit_planned(town: Town, verdict: str) -> None:
    visit = town.plan(hour=9)
    unassign(town, visit)
    second = town.plan(visit.request_id, hour=11)
    sealed = town.packet(visit)
    upload(town, sealed)
    decide(town, "forward")
    answer(town, sealed, verdict, "photo-unusable" if verdict == "rejected" else "")
    assert state(town, sealed.manifest.packet_id) == verdict
    assert (visit_state(town, visit), visit_state(town, second)) == (VisitState.ABANDONED, VisitState.PLANNED)
    assert request_state(town, visit) == VisitState.PLANNED
    assert told(town, visit) == [(KIT, "forward")]


def test_forwarded_alone_the_kit_that_has_the_visit_now_still_has_it(town: Town) -> None:
    visit, clerk = town.plan(), town.actor()
    with town.database.writing(EVERYONE) as db:
        db.add(KitTenant(kit_id=OTHER_KIT, tenant=BRUGGE))
    with town.database.writing(clerk.scope) as db:
        visits.hand_over(db, clerk, visit.visit_id, OTHER_KIT, NOW)
    sealed = town.packet(visit)
    upload(town, sealed)
    decide(town, "forward")
    answer(town, sealed)
    assert visit_state(town, visit) == VisitState.PLANNED
    assert say(town, VisitEvent(visit.visit_id, "opened", epoch=2), kit=OTHER_KIT) == "visit"


def test_forwarded_alone_what_its_service_wants_anew_leaves_the_other_visit_planned(town: Town) -> None:
    visit = town.plan(hour=9)
    unassign(town, visit)
    second = town.plan(visit.request_id, hour=11)
    sealed, whole = town.packet(visit), town.packet(second, seq=2)
    upload(town, sealed)
    decide(town, "forward")
    ask_anew(town, sealed)
    assert (visit_state(town, second), request_state(town, visit)) == (VisitState.PLANNED, VisitState.PLANNED)

    upload(town, whole)
    answer(town, whole)
    assert request_state(town, visit) == VisitState.CLOSED
    with town.database.writing(EVERYONE) as db:  # and nobody brings the parts any more
        assert supplements.expire(db, UNTIL) == [sealed.manifest.packet_id]
    assert state(town, sealed.manifest.packet_id) == ApplicationState.EXPIRED
    assert request_state(town, visit) == VisitState.CLOSED


def test_forwarded_alone_what_its_service_wants_anew_is_planned_where_nothing_else_is(town: Town) -> None:
    visit = town.plan()
    unassign(town, visit)
    sealed = town.packet(visit)
    upload(town, sealed)
    decide(town, "forward")
    ask_anew(town, sealed)
    assert town.plan(visit.request_id, hour=11).recapture == sealed.manifest.packet_id


@pytest.mark.parametrize("decision", ["take", "forward", "leave"])
def test_what_nobody_decided_in_ninety_days_can_be_planned_whatever_is_decided_then(
    town: Town, decision: str
) -> None:
    visit = town.plan(hour=9)
    unassign(town, visit)
    sealed = town.packet(visit)
    upload(town, sealed)
    retention.purge(town.database, town.dock.blobs, datetime.now(UTC) + HARD_LIMIT)
    decide(town, decision)
    with town.database.reading(EVERYONE) as db:
        row = db.get_one(Application, sealed.manifest.packet_id)
        assert (row.state, row.reason) == (ApplicationState.EXPIRED, "hard-limit")
    assert town.plan(visit.request_id, hour=11).state == VisitState.PLANNED


def test_let_count_when_it_is_gone_it_takes_nothing_back(town: Town) -> None:
    visit = town.plan(hour=9)
    unassign(town, visit)
    second = town.plan(visit.request_id, hour=11)
    upload(town, town.packet(visit))
    retention.purge(town.database, town.dock.blobs, datetime.now(UTC) + HARD_LIMIT)
    decide(town, "take")
    assert (visit_state(town, second), request_state(town, visit)) == (VisitState.PLANNED, VisitState.PLANNED)


def test_let_count_its_answer_ends_the_visit(town: Town) -> None:
    visit = town.plan()
    unassign(town, visit)
    sealed = town.packet(visit)
    upload(town, sealed)
    assert told(town, visit) == [(KIT, "")]
    decide(town, "take")
    answer(town, sealed)
    assert (visit_state(town, visit), request_state(town, visit)) == (VisitState.CLOSED, VisitState.CLOSED)
    assert told(town, visit) == []


def test_what_is_left_no_longer_says_that_somebody_must_decide_and_ends_alone(town: Town) -> None:
    visit = town.plan(hour=9)
    unassign(town, visit)
    second = town.plan(visit.request_id, hour=11)
    sealed = town.packet(visit)
    upload(town, sealed)
    decide(town, "leave")
    with town.database.writing(EVERYONE) as db:
        row = db.get_one(Application, sealed.manifest.packet_id)
        assert (row.state, row.reason) == (ApplicationState.STUCK, quarantine.LEFT)
        applications.expired(db, row, NOW)
    assert (visit_state(town, second), request_state(town, visit)) == (VisitState.PLANNED, VisitState.PLANNED)


def test_left_and_then_sent_after_all_it_was_forwarded_alone(town: Town) -> None:
    visit, clerk = town.plan(), town.actor()
    unassign(town, visit)
    sealed = town.packet(visit)
    say(town, VisitEvent(visit.visit_id, "opened"))
    upload(town, sealed)
    decide(town, "leave")
    assert told(town, visit) == [(KIT, "leave")]
    with town.database.writing(clerk.scope) as db:
        applications.release(db, clerk, sealed.manifest.packet_id, NOW)
    assert told(town, visit) == [(KIT, "forward")]
    answer(town, sealed)
    assert visit_state(town, visit) == VisitState.ABANDONED


def test_who_did_a_visit_that_was_taken_back_still_sees_where_it_is(town: Town) -> None:
    visit = town.plan()
    unassign(town, visit)
    assert visit.visit_id not in in_bag(town)
    with town.database.writing(EVERYONE) as db:
        db.execute(delete(OutboxRow))
    packet = town.packet(visit)
    about = (packet.manifest.packet_id, visit.visit_id, "sealed", packet.manifest_sha256)
    say(town, VisitEvent(visit.visit_id, "sealed"))
    say(town, ApplicationEvent(*about))
    with town.database.reading(EVERYONE) as db:
        assert KIT in set(db.scalars(select(OutboxRow.subject).where(OutboxRow.queue == "bag")))
    assert visit.visit_id in in_bag(town)
    assert (forwards(town), len(waiting(town))) == ([], 1)


def test_a_kit_that_is_no_longer_lent_to_a_town_gets_none_of_its_names(town: Town) -> None:
    visit = town.plan()
    unassign(town, visit)
    upload(town, town.packet(visit))
    assert visit.visit_id in in_bag(town)
    with town.database.writing(EVERYONE) as db:
        db.delete(db.get_one(KitTenant, (KIT, BRUGGE)))
    assert visit.visit_id not in in_bag(town)
