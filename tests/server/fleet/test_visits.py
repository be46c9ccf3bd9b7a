"""Requests and visits: asked for, merged, planned without double booking, bagged, seen by the citizen."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select

from protocol.bag import open_bag
from protocol.lifecycle import VisitState
from protocol.messages import VisitEvent
from server.db.scope import EVERYONE
from server.db.tables import Booking, Kit, KitTenant, OutboxRow, Request, Visit
from server.fleet import bags, kits, outbox, requests, status, visits
from server.fleet.refused import Invalid, Refused
from tests.server.fleet.test_ingest import say
from tests.server.town import BRUGGE, DAMME, KIT, OTHER_KIT, Town

NOW = datetime.now(UTC)


def day_bag(town: Town, now: datetime = NOW) -> object:
    with town.database.writing(EVERYONE) as db:
        bags.build(db, town.fields, town.sealer, town.dock.blobs, KIT, now)
        kit = db.get_one(Kit, KIT)
    assert kit.bag_sha256 is not None
    return open_bag(town.dock.blobs.read(kit.bag_sha256), town.ground.bag[0], town.command_keys).bag


def state(town: Town, request_id: str) -> str:
    with town.database.reading(EVERYONE) as db:
        return db.get_one(Request, request_id).state


def test_the_postcode_says_whose_request_it_is(town: Town) -> None:
    assert town.ask().tenant == BRUGGE
    assert town.ask(postcode="8340", municipality="Damme").tenant == DAMME
    with pytest.raises(Invalid, match="not-served"):
        town.ask(postcode="9000")


def test_a_second_request_for_the_same_person_is_added_to_the_first(town: Town) -> None:
    first = town.ask()
    second = town.ask(street="Andere straat 2", requester="self")
    assert (first.merged, second.merged) == (False, True)
    with town.database.reading(town.actor().scope) as db:
        rows = requests.listed(db, town.fields, town.actor())
    assert [(row.request.request_id, row.also) for row in rows] == [(first.request_id, 1)]
    with pytest.raises(Refused, match="request-not-open"):
        town.plan(second.request_id)


@pytest.mark.parametrize("number", ["85.07.30-033.28", "85073003328"])
def test_a_number_finds_the_same_person_whatever_the_name(town: Town, number: str) -> None:
    town.ask(national_number="85073003328")
    assert town.ask(national_number=number, name="Anders Geschreven").merged


def test_the_same_name_elsewhere_is_somebody_else(town: Town) -> None:
    town.ask()
    assert not town.ask(postcode="8340", municipality="Damme").merged
    assert not town.ask(birth_date="28/03/1941").merged


def test_a_planned_visit_is_in_the_bag_of_its_kit(town: Town) -> None:
    visit = town.plan(town.ask(national_number="85.07.30-033.28").request_id)
    bag = day_bag(town)
    (line,) = bag.visits  # type: ignore[attr-defined]
    assert line.visit_id == visit.visit_id
    assert line.citizen.name == "Zénobie Canarië-Vandevelde"
    assert (line.citizen.birth_date, line.citizen.national_number) == ("1941-03-27", "85073003328")
    assert (line.place.street, line.place.postcode) == ("Kanariestraat 17", "8000")
    assert (line.municipality, line.officer_id, line.evidence) == ("Brugge", "an.peeters", "sworn-statement")


def test_the_bag_grows_its_version_and_rings_the_doorbell(town: Town) -> None:
    assert [day_bag(town).version for _ in range(3)] == [1, 2, 3]  # type: ignore[attr-defined]
    with town.database.reading(EVERYONE) as db:
        assert outbox.waiting(db)["doorbell"] == 1


def test_only_today_is_in_the_bag(town: Town) -> None:
    town.plan()
    assert len(day_bag(town).visits) == 1  # type: ignore[attr-defined]
    assert day_bag(town, NOW + timedelta(days=1)).visits == ()  # type: ignore[attr-defined]


def test_yesterdays_bag_is_built_anew(town: Town) -> None:
    day_bag(town)
    with town.database.writing(EVERYONE) as db:
        for row in db.scalars(select(OutboxRow)):
            db.delete(row)
    with town.database.writing(EVERYONE) as db:
        bags.renew(db, NOW)
    with town.database.writing(EVERYONE) as db:
        assert {row.subject for row in db.scalars(select(OutboxRow))} == {OTHER_KIT}
        bags.renew(db, NOW + timedelta(days=1))
    with town.database.reading(EVERYONE) as db:
        assert {row.subject for row in db.scalars(select(OutboxRow))} == {KIT, OTHER_KIT}


def test_a_visit_taken_back_leaves_the_bag_and_can_be_planned_again(town: Town) -> None:
    visit = town.plan(hour=9)
    clerk = town.actor()
    with town.database.writing(clerk.scope) as db:
        visits.unassign(db, clerk, visit.visit_id, NOW)
    assert state(town, visit.request_id) == VisitState.REQUESTED
    assert day_bag(town).visits == ()  # type: ignore[attr-defined]
    town.plan(visit.request_id, hour=9)
    with pytest.raises(Refused, match="visit-done"), town.database.writing(clerk.scope) as db:
        visits.unassign(db, clerk, visit.visit_id, NOW)


def test_a_visit_begun_on_a_kit_that_broke_is_taken_back_and_somebody_goes_again(town: Town) -> None:
    visit = town.plan(hour=9)
    clerk = town.actor()
    assert say(town, VisitEvent(visit.visit_id, "opened")) == "visit"
    with town.database.writing(clerk.scope) as db:
        visits.unassign(db, clerk, visit.visit_id, NOW)
    assert state(town, visit.request_id) == VisitState.REQUESTED
    again = town.plan(visit.request_id, hour=9)
    # The kit was mended after all, and its officer has given the visit up: nobody has to decide anything.
    assert say(town, VisitEvent(visit.visit_id, "abandoned", "cannot")) == "old-news"
    assert state(town, again.request_id) == VisitState.PLANNED
    # Or has finished it: that waits for a person, as what is done for any visit that was taken back.
    assert say(town, VisitEvent(visit.visit_id, "sealed")) == "quarantine-withdrawn"


def lend(town: Town) -> None:
    """The kit of Damme serves Brugge as well."""
    with town.database.writing(EVERYONE) as db:
        db.add(KitTenant(kit_id=OTHER_KIT, tenant=BRUGGE))


def test_a_visit_given_to_another_kit_has_a_new_epoch_and_both_bags_are_made_anew(town: Town) -> None:
    lend(town)
    visit, clerk = town.plan(hour=9), town.actor()
    assert len(day_bag(town).visits) == 1  # type: ignore[attr-defined]
    with town.database.writing(EVERYONE) as db:
        db.execute(delete(OutboxRow))
    with town.database.writing(clerk.scope) as db:
        moved = visits.hand_over(db, clerk, visit.visit_id, OTHER_KIT, NOW)
    assert (moved.kit_id, moved.epoch, moved.officer_id) == (OTHER_KIT, visit.epoch + 1, visit.officer_id)
    assert day_bag(town).visits == ()  # type: ignore[attr-defined]
    with town.database.reading(EVERYONE) as db:
        assert {row.subject for row in db.scalars(select(OutboxRow))} >= {KIT, OTHER_KIT}
        booked = set(db.scalars(select(Booking.resource).where(Booking.visit_id == visit.visit_id)))
    assert booked == {"officer:an.peeters", f"kit:{OTHER_KIT}"}
    town.plan(hour=9, officer="bo.claes")  # the first kit is free again


def test_a_visit_is_given_only_to_a_kit_that_may_have_it(town: Town) -> None:
    visit, clerk = town.plan(hour=9), town.actor()

    def give(kit_id: str) -> None:
        with town.database.writing(clerk.scope) as db:
            visits.hand_over(db, clerk, visit.visit_id, kit_id, NOW)

    for kit_id in (OTHER_KIT, "kit-nobody", ""):
        with pytest.raises(Refused, match="unknown-kit"):
            give(kit_id)
    with pytest.raises(Refused, match="kit-taken"):
        give(KIT)
    lend(town)
    town.plan(hour=9, kit_id=OTHER_KIT, officer="bo.claes")
    with pytest.raises(Refused, match="kit-taken"):
        give(OTHER_KIT)
    with town.database.writing(EVERYONE) as db:
        db.get_one(Visit, visit.visit_id).state = VisitState.OPENED
    with pytest.raises(Refused, match="visit-begun"):
        give(OTHER_KIT)


@pytest.mark.parametrize(
    ("hour", "kit", "officer", "code"),
    [
        (9, KIT, "bo.claes", "kit-taken"),
        (9, KIT, "an.peeters", "officer-taken"),
        (9, OTHER_KIT, "bo.claes", "unknown-kit"),
        (9, "kit-nobody", "bo.claes", "unknown-kit"),
        (11, KIT, "cis.maes", "unknown-officer"),
        (11, KIT, "nobody", "unknown-officer"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(
    town: Town, hour: int, kit: str, officer: str, code: str
) -> None:
    town.plan(hour=9)
    with pytest.raises(Refused, match=code):
        town.plan(hour=hour, kit_id=kit, officer=officer)


@pytest.mark.parametrize(
    ("shift", "minutes", "code"),
    [
        (timedelta(days=-1), 45, "in-the-past"),
        (timedelta(0), 5, "bad-minutes"),
        (timedelta(0), 300, "bad-minutes"),
    ],
)
def test_a_time_that_makes_no_sense_is_refused(town: Town, shift: timedelta, minutes: int, code: str) -> None:
    clerk, request_id = town.actor(), town.ask().request_id
    with pytest.raises(Refused, match=code), town.database.writing(clerk.scope) as db:
        visits.plan(db, clerk, request_id, "an.peeters", KIT, NOW + shift, minutes, NOW)


def test_visits_may_follow_each_other_without_a_gap(town: Town) -> None:
    first = town.plan(hour=9)
    clerk, request_id = town.actor(), town.ask().request_id
    with town.database.writing(clerk.scope) as db:
        visits.plan(db, clerk, request_id, "an.peeters", KIT, first.ends, 45, NOW)


@pytest.mark.parametrize("role", ["inclusion", "admin", "fleet-admin"])
def test_only_a_planner_plans(town: Town, role: str) -> None:
    actor = town.actor(role)  # type: ignore[arg-type]
    visit, request_id = town.plan(), town.ask().request_id
    with pytest.raises(Refused, match="not-allowed"), town.database.writing(actor.scope) as db:
        visits.plan(db, actor, request_id, "an.peeters", KIT, NOW, 45, NOW)
    with pytest.raises(Refused, match="not-allowed"), town.database.writing(actor.scope) as db:
        visits.unassign(db, actor, visit.visit_id, NOW)
    with pytest.raises(Refused, match="not-allowed"), town.database.writing(actor.scope) as db:
        visits.hand_over(db, actor, visit.visit_id, OTHER_KIT, NOW)


def test_a_planner_of_another_municipality_finds_nothing(town: Town) -> None:
    visit = town.plan()
    stranger = town.actor(tenant=DAMME)
    with pytest.raises(Refused, match="unknown-visit"), town.database.writing(stranger.scope) as db:
        visits.unassign(db, stranger, visit.visit_id, NOW)
    with town.database.reading(stranger.scope) as db:
        assert requests.listed(db, town.fields, stranger) == []
        with pytest.raises(Refused, match="unknown-request"):
            requests.opened(db, town.fields, stranger, visit.request_id)


def test_two_planners_at_once_get_one_kit_once(town: Town) -> None:
    wanted = [town.ask(name=f"Persoon {letter}").request_id for letter in "ABCDEF"]
    outcomes: list[str] = []

    def plan(request_id: str) -> None:
        try:
            town.plan(request_id, hour=10)
            outcomes.append("planned")
        except Refused as problem:
            outcomes.append(problem.code)

    threads = [threading.Thread(target=plan, args=(request_id,)) for request_id in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["officer-taken"] * 5 + ["planned"]
    with town.database.reading(EVERYONE) as db:
        assert len(db.scalars(select(Booking)).all()) == 2


def ask(town: Town, code: str, place: str = "10.0.0.1") -> str | None:
    with town.database.writing(EVERYONE) as db:
        return status.ask(db, code, place, NOW)


def test_the_citizen_sees_in_a_word_where_her_request_is(town: Town) -> None:
    made = town.ask()
    assert ask(town, made.code) == "received"
    spelled = " ".join(made.code[at : at + 4].lower() for at in range(0, 16, 4)).replace("0", "o")
    assert ask(town, spelled) == "received"
    visit = town.plan(made.request_id)
    assert ask(town, made.code) == "planned"
    with town.database.writing(EVERYONE) as db:
        visits.move(db, db.merge(visit), VisitState.OPENED)
    assert ask(town, made.code) == "visiting"  # nothing has been sent, and perhaps nothing will be
    with town.database.writing(EVERYONE) as db:
        visits.move(db, db.merge(visit, load=True), VisitState.ABANDONED, "unwell")
    assert ask(town, made.code) == "not-visited"


def test_a_code_that_was_guessed_tells_nothing_and_guessing_is_slow(town: Town) -> None:
    for _ in range(status.TRIES):
        assert ask(town, "0123 4567 89AB CDEF") is None
    with pytest.raises(Refused, match="throttled"):
        ask(town, "0123 4567 89AB CDEF")
    assert ask(town, town.ask().code, "10.0.0.2") == "received"


def test_whoever_asks_a_second_time_learns_nothing_of_the_first(town: Town) -> None:
    first = town.ask()
    town.plan(first.request_id)
    second = town.ask()
    assert ask(town, second.code) == "received"


def test_a_kit_that_gets_no_bag_any_more_leaves_none_behind(town: Town) -> None:
    town.plan()

    def kept() -> int:
        with town.database.writing(EVERYONE) as db:
            bags.take_away(db, town.dock.blobs)
        return sum(path.is_file() for path in town.dock.blobs.root.rglob("*"))

    day_bag(town)
    assert kept() == 1
    for gone, back in ((kits.missing, kits.found), (kits.retire, None)):
        with town.database.writing(EVERYONE) as db:
            gone(db, KIT, NOW)
        assert kept() == 0
        with town.database.writing(EVERYONE) as db:
            assert db.get_one(Kit, KIT).bag_sha256 is None
            if back is not None:
                back(db, KIT, NOW)
        if back is not None:
            assert day_bag(town)
            assert kept() == 1
