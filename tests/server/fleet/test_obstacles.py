"""Nobody is sent out with a kit that does not open: planning sees who opens which kit, and until when."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from protocol.messages import VisitEvent
from server.db.scope import EVERYONE, only
from server.db.tables import Kit, KitLease, KitTenant, Visit
from server.fleet import bags, incidents, kits, obstacles, rosters, visits
from server.fleet.refused import Refused
from tests.server.fleet.test_ingest import health, say
from tests.server.town import BRUGGE, DAMME, KIT, OTHER_KIT, Town

NOW = datetime.now(UTC)
SOON, HOUR = NOW + timedelta(hours=72), timedelta(hours=1)
AN, BO = "an.peeters", "bo.claes"

Change = Callable[..., None]


@pytest.fixture
def listed(town: Town) -> Town:
    """An opens the kit, Bo does not."""
    does(town, rosters.put, KIT, AN, NOW, on_kit=True)
    return town


def does(town: Town, what: Change, *given: object, **named: object) -> None:
    with town.database.writing(EVERYONE) as db:
        what(db, *given, **named)


def ahead(town: Town) -> list[tuple[str, str]]:
    with town.database.reading(only(BRUGGE)) as db:
        return [(line.officer, line.code) for line in obstacles.ahead(db, datetime.now(UTC))]


def fetched(town: Town) -> None:
    """The kit has asked for its list."""
    with town.database.writing(EVERYONE) as db:
        rosters.document(db, town.sealer, db.get_one(Kit, KIT), "01KC0000000000000000000000", NOW)


def leased(town: Town, ends: datetime, granted: datetime) -> None:
    with town.database.writing(EVERYONE) as db:
        db.add(KitLease(kit_id=KIT, epoch=0, turned=NOW, granted=granted, ends=ends))


def no_code(town: Town) -> None:
    does(town, rosters.put, KIT, BO, NOW)


def old_code(town: Town) -> None:
    before = NOW - 2 * HOUR
    does(town, rosters.put, KIT, BO, before)
    does(town, rosters.enrol, KIT, BO, b"sealed", before + HOUR, before)


def taken_off(town: Town) -> None:
    does(town, rosters.put, KIT, BO, NOW, on_kit=True)
    does(town, rosters.take, KIT, BO, NOW, last=False)


def missing(town: Town) -> None:
    does(town, kits.missing, KIT, NOW)


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (lambda town: None, "officer-not-listed"),
        (no_code, "officer-no-code"),
        (old_code, "officer-code-expired"),
        (taken_off, "officer-not-listed"),
        (missing, "kit-missing"),
    ],
    ids=["not-listed", "no-code", "code-expired", "taken-off", "kit-missing"],
)
def test_a_visit_is_not_planned_with_an_officer_who_cannot_open_the_kit(
    listed: Town, prepare: Callable[[Town], None], code: str
) -> None:
    prepare(listed)
    with pytest.raises(Refused, match=code):
        listed.plan(day=1, officer=BO)
    with listed.database.reading(EVERYONE) as db:
        assert db.query(Visit).count() == 0


def test_who_opens_the_kit_is_planned_without_a_word(listed: Town) -> None:
    listed.plan(day=1)
    assert ahead(listed) == []


def test_of_a_kit_without_a_list_nothing_is_known_and_the_planner_is_told(town: Town) -> None:
    visit = town.plan(day=1)
    with town.database.reading(EVERYONE) as db:
        (found,) = obstacles.of_visits(db, [visit], NOW).values()
        assert obstacles.openers(db, [db.get_one(Kit, KIT)]) == {KIT: None}
    assert found.code == "officers-unknown"
    assert ahead(town) == [], "nothing to be done about it on the dashboard"


def test_a_code_that_waits_is_warned_of_until_the_officer_is_let_in(listed: Town) -> None:
    no_code(listed)
    does(listed, rosters.enrol, KIT, BO, b"sealed", SOON, NOW)
    listed.plan(day=1, officer=BO)
    assert ahead(listed) == [("Bo Claes", "officer-list-waits")]
    fetched(listed)
    assert ahead(listed) == [("Bo Claes", "officer-code-waits")]
    does(listed, rosters.heard, KIT, "officer-added", digest(BO), NOW)
    assert ahead(listed) == []
    with listed.database.reading(EVERYONE) as db:
        assert obstacles.openers(db, [db.get_one(Kit, KIT)]) == {KIT: ("An Peeters", "Bo Claes")}


def test_a_visit_is_not_handed_over_to_a_kit_that_its_officer_cannot_open(listed: Town) -> None:
    visit = listed.plan(day=1)
    with listed.database.writing(EVERYONE) as db:
        db.add(KitTenant(kit_id=OTHER_KIT, tenant=BRUGGE))
        db.flush()
        rosters.put(db, OTHER_KIT, "cis.maes", NOW, on_kit=True)
    clerk = listed.actor()
    with pytest.raises(Refused, match="officer-not-listed"), listed.database.writing(clerk.scope) as db:
        visits.hand_over(db, clerk, visit.visit_id, OTHER_KIT, NOW)
    with listed.database.reading(EVERYONE) as db:
        assert db.get_one(Visit, visit.visit_id).kit_id == KIT


def test_an_officer_taken_off_leaves_the_visits_in_sight_and_put_back_opens_as_before(listed: Town) -> None:
    does(listed, rosters.put, KIT, BO, NOW, on_kit=True)
    listed.plan(day=1, officer=BO)
    listed.plan(day=2, officer=BO)
    does(listed, rosters.take, KIT, BO, NOW, last=False)
    assert ahead(listed) == [("Bo Claes", "officer-not-listed")] * 2
    with listed.database.reading(EVERYONE) as db:
        assert visits.ahead(db, KIT, NOW) == {BO: 2}
    does(listed, rosters.put, KIT, BO, NOW)
    assert ahead(listed) == [], "the kit never heard of it, so it still opens for Bo"
    does(listed, rosters.take, KIT, BO, NOW, last=False)
    does(listed, rosters.heard, KIT, "officer-removed", digest(BO), NOW)
    does(listed, rosters.put, KIT, BO, NOW)
    assert ahead(listed) == [("Bo Claes", "officer-no-code")] * 2


def test_an_officer_removed_at_the_kit_itself_no_longer_counts_as_one_who_opens_it(listed: Town) -> None:
    listed.plan(day=1)
    does(listed, rosters.heard, KIT, "officer-removed", digest(AN), NOW)
    assert ahead(listed) == [("An Peeters", "officer-no-code")]


def test_the_bag_of_the_day_tells_an_administrator_what_cannot_be_opened(listed: Town) -> None:
    does(listed, rosters.put, KIT, BO, NOW, on_kit=True)
    visit = listed.plan(hour=23, officer=BO)
    listed.plan(day=1, officer=BO)
    does(listed, rosters.take, KIT, BO, NOW, last=False)
    for _ in range(2):
        with listed.database.writing(EVERYONE) as db:
            bags.build(db, listed.fields, listed.sealer, listed.dock.blobs, KIT, visit.starts - HOUR)
    with listed.database.reading(only(BRUGGE)) as db:
        told = [(row.code, row.kit_id, row.subject, row.detail) for row in incidents.listed(db)]
    assert told == [("visit-cannot-open", KIT, visit.visit_id, "officer-not-listed")]


@pytest.mark.parametrize(
    ("ends", "granted", "warned"),
    [
        (timedelta(hours=1), timedelta(hours=-47), True),
        (timedelta(hours=47), timedelta(hours=-2), False),
        (timedelta(hours=1), timedelta(minutes=-5), False),  # it is online: it will ask again
        (timedelta(hours=-3), timedelta(hours=-51), True),  # closed already
    ],
)
def test_a_kit_that_closes_before_the_visit_is_told_of_the_day_before(
    listed: Town, ends: timedelta, granted: timedelta, *, warned: bool
) -> None:
    leased(listed, NOW + ends, NOW + granted)
    listed.plan(day=1)
    listed.plan(day=5)  # it may be online many times before
    assert ahead(listed) == ([("An Peeters", "kit-closes")] if warned else [])


def test_a_visit_that_its_kit_cannot_read_is_shown_planned_or_begun_until_it_is_taken_back(
    listed: Town,
) -> None:
    coming, begun, other = (listed.plan(day=1, hour=hour) for hour in (9, 11, 13))
    say(listed, VisitEvent(begun.visit_id, "opened"))
    assert ahead(listed) == []
    say(listed, health(unread=(coming.visit_id, begun.visit_id)))
    assert ahead(listed) == [("An Peeters", "kit-cannot-read")] * 2
    clerk = listed.actor()
    for visit in (coming, begun):
        with listed.database.writing(clerk.scope) as db:
            visits.unassign(db, clerk, visit.visit_id, NOW)
    assert ahead(listed) == []
    say(listed, VisitEvent(other.visit_id, "opened"))
    assert ahead(listed) == []


def test_what_is_in_the_way_of_another_municipality_is_not_shown(listed: Town) -> None:
    listed.plan(day=1)
    missing(listed)
    assert ahead(listed) == [("An Peeters", "kit-missing")]
    with listed.database.reading(only(DAMME)) as db:
        assert obstacles.ahead(db, NOW) == ()


def digest(officer_id: str) -> str:
    return hashlib.sha256(officer_id.encode()).hexdigest()
