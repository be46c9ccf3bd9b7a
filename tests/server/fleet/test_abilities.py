"""A kit is sent no visit that it cannot read; who plans sees that, and gives the visit to another kit."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, select

from protocol.bag import READS, open_bag
from protocol.ids import new_ulid
from protocol.topics import Tail, topic_of
from server.db.scope import EVERYONE
from server.db.tables import Kit, KitTenant, OutboxRow, Visit
from server.fleet import bags, ingest, overview, visits
from server.fleet.refused import Refused
from tests.server.fleet.test_ingest import birth, say
from tests.server.fleet.test_quarantine import upload
from tests.server.fleet.test_recaptures import Case, ask_anew
from tests.server.town import BRUGGE, KIT, OTHER_KIT, Town

NOW = datetime.now(UTC)


@pytest.fixture
def case(town: Town) -> Case:
    """A citizen whose photo is asked again, and a second kit that serves the municipality."""
    made = town.ask(national_number="41032799448")
    visit = town.plan(made.request_id)
    sealed = town.packet(visit)
    upload(town, sealed)
    ask_anew(town, sealed)
    with town.database.writing(EVERYONE) as db:
        db.add(KitTenant(kit_id=OTHER_KIT, tenant=BRUGGE))
    return Case(town, made, visit, sealed)


def in_bag(town: Town, kit_id: str = KIT) -> set[str]:
    with town.database.writing(EVERYONE) as db:
        bags.build(db, town.fields, town.sealer, town.dock.blobs, kit_id, NOW)
        digest = db.get_one(Kit, kit_id).bag_sha256
    assert digest is not None
    bag = open_bag(town.dock.blobs.read(digest), town.ground.bag[0], town.command_keys).bag
    return {visit.visit_id for visit in bag.visits}


def held(town: Town) -> dict[str, str]:
    """What the dashboard says of today's visits."""
    with town.database.reading(town.actor().scope) as db:
        lines = overview.visit_lines(db, visits.local_day(NOW))
        return {line.visit_id: line.held for line in lines if line.held}


def new_bags(town: Town) -> list[str]:
    """The kits that get a new bag; they are forgotten here."""
    with town.database.writing(EVERYONE) as db:
        found = list(db.scalars(select(OutboxRow.subject).where(OutboxRow.queue == "bag")))
        db.execute(delete(OutboxRow).where(OutboxRow.queue == "bag"))
    return found


def test_a_kit_that_has_not_said_what_it_reads_gets_the_visit_once_it_has(case: Case, town: Town) -> None:
    short = case.short(hour=16, day=0)
    assert in_bag(town) == {case.first.visit_id}
    assert held(town) == {short.visit_id: "kit-unheard"}
    new_bags(town)
    say(town, birth(READS))
    assert new_bags(town) == [KIT]
    assert in_bag(town) == {case.first.visit_id, short.visit_id}
    assert held(town) == {}
    say(town, birth(READS), ses=2)
    assert new_bags(town) == []  # nothing new


def test_a_kit_on_older_software_is_planned_no_visit_that_it_cannot_read(case: Case, town: Town) -> None:
    say(town, birth(1))
    with pytest.raises(Refused, match="kit-too-old"):
        case.short()
    say(town, birth(READS), kit=OTHER_KIT)
    short = town.plan(case.made.request_id, 16, kit_id=OTHER_KIT)
    clerk = town.actor()
    with town.database.writing(clerk.scope) as db, pytest.raises(Refused, match="kit-too-old"):
        visits.hand_over(db, clerk, short.visit_id, KIT, NOW)
    assert town.plan(hour=11).kit_id == KIT  # any other visit as ever
    assert in_bag(town, OTHER_KIT) == {short.visit_id}


def test_a_kit_that_was_put_back_to_older_software_keeps_its_other_visits(case: Case, town: Town) -> None:
    say(town, birth(READS))
    short = case.short(hour=16, day=0)
    assert short.visit_id in in_bag(town)
    say(town, birth(1), ses=2)
    assert in_bag(town) == {case.first.visit_id}
    assert held(town) == {short.visit_id: "kit-too-old"}
    clerk = town.actor()
    with town.database.writing(clerk.scope) as db:
        visits.hand_over(db, clerk, short.visit_id, OTHER_KIT, NOW)
    say(town, birth(READS), kit=OTHER_KIT)
    assert in_bag(town, OTHER_KIT) == {short.visit_id}
    assert held(town) == {}
    with town.database.reading(EVERYONE) as db:
        assert db.get_one(Visit, short.visit_id).epoch == 2


def test_a_birth_of_before_there_were_short_visits_says_level_one(town: Town) -> None:
    topic = topic_of(KIT, Tail.BIRTH)
    body = (
        b'"version":"0.1.0","started":"2026-11-23T08:00:00Z","peripherals":[],"packet":1,'
        b'"certificate_until":"2026-12-23T08:00:00Z","protection":"reduced","test_trust":true'
    )
    head = f'{{"v":1,"id":"{new_ulid()}","kit":"{KIT}","ses":1,"seq":1,"ts":"2026-11-23T09:30:00Z",'.encode()
    message = head + b'"ts_src":"ntp","body":{"kind":"birth",' + body + b"}}"
    assert ingest.take(town.database, topic, message, NOW).outcome == "state"
    with town.database.reading(EVERYONE) as db:
        said = db.get_one(Kit, KIT).birth
    assert said is not None
    assert said["bag"] == 1
