"""A service wants the photo anew: kept once, planned as a short visit, brought, counted once."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from protocol.bag import READS, open_bag
from protocol.custodycheck import judge
from protocol.instant import write_instant
from protocol.lifecycle import ApplicationState as S
from protocol.lifecycle import VisitState
from protocol.recapture import Supplements
from protocol.sealed.packet import Part, Sealed
from protocol.sealed.receipt import verify_receipt
from server.db.scope import EVERYONE, only
from server.db.tables import Application, Kit, Recapture, Request, Visit
from server.fleet import (
    applications,
    bags,
    custody,
    persons,
    recaptures,
    requests,
    retention,
    status,
    supplements,
    tally,
)
from server.fleet.drafts import Person
from server.fleet.refused import Refused
from server.fleet.requests import Made
from tests.server.fleet.test_custody import sign, trusted
from tests.server.fleet.test_ingest import birth, say
from tests.server.fleet.test_quarantine import forwards, unassign, upload
from tests.server.town import DAMME, KIT, PARTS, SERVICE, Town

NOW = datetime.now(UTC).replace(microsecond=0)
UNTIL = NOW + timedelta(days=14)
SIGNED = (PARTS[0], Part("signature.png", "image/png", b"\x89PNG" + bytes(90)))


def answer(town: Town, sealed: Sealed, verdict: str = "accepted", code: str = "", **more: Any) -> None:
    """The service's receipt, verified and taken as the forwarder does."""
    token = town.receipt(sealed, verdict, code, **more)
    receipt = verify_receipt(token, town.recipients.public_receipt_keys())
    with town.database.writing(EVERYONE) as db:
        applications.answered(db, db.get_one(Application, sealed.manifest.packet_id), receipt, token, NOW)


def ask_anew(
    town: Town, sealed: Sealed, *parts: str, until: datetime = UNTIL, code: str = "photo-blurred"
) -> None:
    answer(town, sealed, "recapture", code, parts=parts or ("photo",), until=write_instant(until))


@dataclass
class Case:
    """A citizen whose application was sealed and uploaded."""

    town: Town
    made: Made
    first: Visit
    sealed: Sealed
    seq: int = 1

    def state(self, sealed: Sealed | None = None) -> str:
        with self.town.database.reading(EVERYONE) as db:
            return str(db.get_one(Application, (sealed or self.sealed).manifest.packet_id).state)

    def request(self) -> Request:
        with self.town.database.reading(EVERYONE) as db:
            return db.get_one(Request, self.made.request_id)

    def asked(self) -> Recapture | None:
        with self.town.database.reading(self.town.actor().scope) as db:
            return recaptures.open_of(db, self.made.request_id)

    def short(self, hour: int = 14, day: int = 1) -> Visit:
        return self.town.plan(self.made.request_id, hour, day=day)

    def bring(self, visit: Visit, **changes: Any) -> Sealed:
        """What the kit seals at the short visit, uploaded."""
        self.seq += 1
        about = Supplements(packet_id=self.sealed.manifest.packet_id, parts=("photo",))
        brought = self.town.packet(visit, self.seq, **{"supplements": about, **changes})
        upload(self.town, brought)
        return brought

    def tally(self) -> tuple[int, ...]:
        with self.town.database.reading(EVERYONE) as db:
            all_, _ = tally.tally(db)
            counted = sum(applications.counts(db).values())
        assert all_.created == all_.queued + all_.sent + all_.accepted + all_.refused == counted
        return all_.created, all_.queued, all_.sent, all_.accepted, all_.refused

    def status(self) -> str | None:
        with self.town.database.writing(EVERYONE) as db:
            return status.ask(db, self.made.code, "127.0.0.1", NOW)


@pytest.fixture
def case(town: Town) -> Case:
    made = town.ask(national_number="41032799448")
    visit = town.plan(made.request_id)
    sealed = town.packet(visit)
    upload(town, sealed)
    return Case(town, made, visit, sealed)


def test_the_whole_way_from_the_question_to_one_accepted_application(case: Case, town: Town) -> None:
    ask_anew(town, case.sealed)
    assert (case.state(), case.request().state, case.status()) == (S.RECAPTURE, VisitState.REQUESTED, "again")
    assert case.tally() == (1, 0, 1, 0, 0)
    asked = case.asked()
    assert asked is not None
    assert (asked.packet_id, asked.parts) == (case.sealed.manifest.packet_id, ["photo"])
    visit = case.short()
    assert (visit.recapture, case.status()) == (case.sealed.manifest.packet_id, "again-planned")
    brought = case.bring(visit)
    assert case.tally() == (1, 0, 1, 0, 0)
    assert case.status() == "sent"
    assert brought.manifest.packet_id in forwards(town)
    answer(town, brought)
    assert (case.state(), case.state(brought)) == (S.ACCEPTED, S.ACCEPTED)
    assert (case.request().state, case.status()) == (VisitState.CLOSED, "accepted")
    assert case.tally() == (1, 0, 0, 1, 0)
    assert case.asked() is None


def test_each_packet_has_its_own_chain_and_the_second_names_the_first(case: Case, town: Town) -> None:
    ask_anew(town, case.sealed)
    brought = case.bring(case.short())
    answer(town, brought)
    sign(town)
    with town.database.reading(EVERYONE) as db:
        first = custody.chain(db, case.sealed.manifest.packet_id)
        second = custody.chain(db, brought.manifest.packet_id)
    asked, answered = (judge(chain, trusted(town)) for chain in (first, second))
    assert asked.sound
    assert answered.sound
    assert [line.by for line in asked.lines if line.step == "answered"] == [f"{SERVICE} recapture: photo"]
    assert [line.by for line in answered.lines if line.step == "answered"] == [f"{SERVICE} accepted"]
    assert (asked.supplements, answered.supplements) == ("", case.sealed.manifest.packet_id)


def test_the_same_question_again_changes_nothing(case: Case, town: Town) -> None:
    """A receipt that comes again finds the application answered; what is planned stays planned."""
    ask_anew(town, case.sealed)
    visit = case.short()
    with pytest.raises(Refused, match="application-state"):
        ask_anew(town, case.sealed, "photo", "signature")
    asked = case.asked()
    assert asked is not None
    assert (asked.parts, case.request().state) == (["photo"], VisitState.PLANNED)
    with town.database.reading(EVERYONE) as db:
        assert db.get_one(Visit, visit.visit_id).state == VisitState.PLANNED
        assert len(recaptures.by_answer(db, [case.sealed.manifest.packet_id])) == 1


def test_a_second_question_after_it_was_given_up_makes_it_wait_again(case: Case, town: Town) -> None:
    """Taken back, given up, brought all the same, and then the service asks for something else."""
    ask_anew(town, case.sealed)
    visit = case.short()
    unassign(town, visit)
    later(town, 14)
    assert case.tally() == (1, 0, 0, 0, 1)
    brought = case.bring(visit)
    with town.database.writing(EVERYONE) as db:
        applications.send(db, db.get_one(Application, brought.manifest.packet_id), NOW)
    ask_anew(town, brought, "signature", code="signature-quality")
    assert (case.state(), case.tally(), case.status()) == (S.RECAPTURE, (1, 0, 1, 0, 0), "again")
    about = Supplements(packet_id=case.sealed.manifest.packet_id, parts=("signature",))
    answer(town, case.bring(case.short(hour=16), supplements=about, parts=SIGNED))
    assert (case.state(), case.tally()) == (S.ACCEPTED, (1, 0, 0, 1, 0))


def test_every_chain_of_an_application_that_was_asked_twice_names_it(case: Case, town: Town) -> None:
    ask_anew(town, case.sealed)
    first = case.bring(case.short())
    ask_anew(town, first, "photo", code="photo-eyes")
    second = case.bring(case.short(hour=16))
    answer(town, second)
    sign(town)
    with town.database.reading(EVERYONE) as db:
        chains = [custody.chain(db, one.manifest.packet_id) for one in (case.sealed, first, second)]
    judged = [judge(chain, trusted(town)) for chain in chains]
    assert all(one.sound for one in judged)
    whole = case.sealed.manifest.packet_id
    assert [one.supplements for one in judged] == ["", whole, whole]
    said = [line.by for one in judged for line in one.lines if line.step == "answered"]
    assert said == [f"{SERVICE} recapture: photo"] * 2 + [f"{SERVICE} accepted"]


def test_the_bag_of_the_kit_carries_the_question(case: Case, town: Town) -> None:
    say(town, birth(READS))
    ask_anew(town, case.sealed, "photo", "signature")
    visit = case.short(day=0)
    with town.database.writing(EVERYONE) as db:
        bags.build(db, town.fields, town.sealer, town.dock.blobs, KIT, NOW)
        digest = db.get_one(Kit, KIT).bag_sha256
    assert digest is not None
    held = open_bag(town.dock.blobs.read(digest), town.ground.bag[0], town.command_keys).bag
    lines = {line.visit_id: line.supplements for line in held.visits}
    about = lines.pop(visit.visit_id)
    assert not any(lines.values())
    assert about
    assert (about.packet_id, about.parts) == (case.sealed.manifest.packet_id, ("photo", "signature"))
    assert (about.code, about.until) == ("photo-blurred", write_instant(UNTIL))


def test_no_visit_is_planned_beyond_what_the_service_waits_for(case: Case, town: Town) -> None:
    ask_anew(town, case.sealed, until=NOW + timedelta(days=2))
    with pytest.raises(Refused, match="after-deadline"):
        case.short(day=3)
    assert case.short(day=1).recapture is not None


def test_a_short_visit_that_is_taken_back_is_asked_again(case: Case, town: Town) -> None:
    ask_anew(town, case.sealed)
    unassign(town, case.short())
    assert case.status() == "again"
    assert case.short(hour=16).recapture == case.sealed.manifest.packet_id


def test_a_service_may_ask_again_of_the_supplement(case: Case, town: Town) -> None:
    ask_anew(town, case.sealed)
    first = case.bring(case.short())
    ask_anew(town, first, code="photo-eyes")
    asked = case.asked()
    assert asked is not None
    assert (asked.packet_id, asked.asked_by) == (case.sealed.manifest.packet_id, first.manifest.packet_id)
    assert (asked.code, case.tally(), case.status()) == ("photo-eyes", (1, 0, 1, 0, 0), "again")
    second = case.bring(case.short(hour=16))
    answer(town, second)
    assert {case.state(), case.state(first), case.state(second)} == {S.ACCEPTED}
    assert case.tally() == (1, 0, 0, 1, 0)


def test_a_supplement_that_is_rejected_rejects_the_whole(case: Case, town: Town) -> None:
    ask_anew(town, case.sealed)
    brought = case.bring(case.short())
    answer(town, brought, "rejected", "not-the-holder")
    assert (case.state(), case.state(brought)) == (S.REJECTED, S.REJECTED)
    assert (case.request().state, case.asked(), case.status()) == (VisitState.ABANDONED, None, "rejected")
    assert case.tally() == (1, 0, 0, 0, 1)
    assert case.short(hour=16).recapture is None  # from now on a whole visit


@pytest.mark.parametrize("code", ["supplement-other-person", "supplement-parts"])
def test_a_supplement_that_was_none_leaves_the_question_open(case: Case, town: Town, code: str) -> None:
    ask_anew(town, case.sealed)
    brought = case.bring(case.short())
    answer(town, brought, "rejected", code)
    assert (case.state(), case.state(brought)) == (S.RECAPTURE, S.REJECTED)
    assert (case.tally(), case.status()) == ((1, 0, 1, 0, 0), "again")
    answer(town, case.bring(case.short(hour=16)))
    assert case.tally() == (1, 0, 0, 1, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"supplements": Supplements(packet_id="01KCEXAMP1E000000000000009", parts=("photo",))},
        {},  # a whole application
    ],
)
def test_a_packet_that_is_not_what_its_visit_was_for_is_refused(
    case: Case, town: Town, changes: dict[str, Any]
) -> None:
    ask_anew(town, case.sealed)
    brought = town.packet(case.short(), 2, **changes)
    with pytest.raises(Refused, match="wrong-supplement"):
        upload(town, brought)
    assert case.tally() == (1, 0, 1, 0, 0)


def test_a_supplement_from_a_whole_visit_is_refused(case: Case, town: Town) -> None:
    about = Supplements(packet_id=case.sealed.manifest.packet_id, parts=("photo",))
    with pytest.raises(Refused, match="wrong-supplement"):
        upload(town, town.packet(town.plan(hour=11), 2, supplements=about))


def later(town: Town, days: int) -> list[str]:
    with town.database.writing(EVERYONE) as db:
        return supplements.expire(db, NOW + timedelta(days=days))


def test_when_nobody_took_it_in_time_a_whole_visit_is_needed(case: Case, town: Town) -> None:
    ask_anew(town, case.sealed)
    assert later(town, 13) == []
    assert later(town, 14) == [case.sealed.manifest.packet_id]
    assert later(town, 15) == []
    assert (case.state(), case.asked(), case.status()) == (S.EXPIRED, None, "not-visited")
    assert case.tally() == (1, 0, 0, 0, 1)
    assert case.short().recapture is None


def test_what_is_planned_or_under_way_is_not_given_up(case: Case, town: Town) -> None:
    ask_anew(town, case.sealed)
    visit = case.short()
    assert later(town, 20) == []
    brought = case.bring(visit)
    assert later(town, 20) == []
    answer(town, brought)
    assert case.tally() == (1, 0, 0, 1, 0)


def test_what_was_sealed_in_time_counts_though_it_comes_late(case: Case, town: Town) -> None:
    """Taken back, done all the same by a kit without network, and brought when it had been given up."""
    ask_anew(town, case.sealed)
    visit = case.short()
    unassign(town, visit)
    later(town, 14)
    brought = case.bring(visit)
    with town.database.writing(EVERYONE) as db:
        applications.send(db, db.get_one(Application, brought.manifest.packet_id), NOW)
    answer(town, brought)
    assert (case.state(), case.tally()) == (S.ACCEPTED, (1, 0, 0, 1, 0))


def test_the_fleets_copy_goes_once_the_service_has_asked(case: Case, town: Town) -> None:
    ask_anew(town, case.sealed)
    assert retention.purge(town.database, town.dock.blobs, NOW) == 1


def test_another_municipality_sees_nothing_of_it(case: Case, town: Town) -> None:
    ask_anew(town, case.sealed)
    with town.database.reading(only(DAMME)) as db:
        assert recaptures.open_of(db, case.made.request_id) is None
        assert recaptures.open_by_request(db) == {}
        assert recaptures.by_answer(db, [case.sealed.manifest.packet_id]) == {}


def test_who_plans_sees_what_is_asked_beside_the_request(case: Case, town: Town) -> None:
    ask_anew(town, case.sealed)
    with town.database.reading(town.actor().scope) as db:
        (listed,) = requests.listed(db, town.fields, town.actor())
        opened = requests.opened(db, town.fields, town.actor(), case.made.request_id)
    for seen in (listed, opened):
        assert seen.again is not None
        assert seen.again.parts == ["photo"]
        assert persons.missing(seen.person) == ()


PERSON = Person("Maria", "1941-03-27", "41032799448", "050123456", "Straat 1", "", "", "")


@pytest.mark.parametrize(
    ("lacks", "told"),
    [
        ({}, ()),
        ({"phone": ""}, ("phone",)),
        ({"national_number": "", "street": ""}, ("street", "national_number")),
        ({"name": "", "note": ""}, ("name",)),
    ],
)
def test_what_a_short_visit_needs_and_the_request_lacks_is_told(
    lacks: dict[str, str], told: tuple[str, ...]
) -> None:
    assert persons.missing(replace(PERSON, **lacks)) == told
