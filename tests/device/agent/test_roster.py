"""Officers who come and go from afar, on a whole desk: by a list that the fleet signs, and a code."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from device.errors import Code, KitError, Refused
from device.vault import door
from device.vault.database import Database
from protocol import enrolment, signed
from protocol.enrolment import Newcomer
from protocol.identity import Role
from protocol.ids import new_ulid
from protocol.instant import write_instant
from protocol.lease import Asked
from protocol.roster import Listed, Roster, Waiting, sign
from tests.device.agent.kit import COLLEAGUE, KIT, OFFICER, PIN, WEEK, Desktop, Kit
from tests.device.agent.lender import Lender
from tests.device.agent.test_leasing import Shifted, a_visit, on
from tests.device.agent.test_outgoing import told
from tests.mosquitto import until
from tests.protocol.certificates import leaf

NEW, CODE, NEW_PIN = "els.claes", "1234 5678 9012 3456 7890", "730418"
NAMES = {OFFICER: "An Peeters", COLLEAGUE: "Jo Maes", NEW: "Els Claes"}


@dataclass
class Fleet:
    """Keeps the list, and answers what the agent asks in its spool."""

    kit: Kit
    top: Desktop
    version: int = 1
    officers: tuple[str, ...] = (OFFICER, COLLEAGUE)
    enrolments: dict[str, bytes] = field(default_factory=dict)
    changes: dict[str, object] = field(default_factory=dict)
    key: ec.EllipticCurvePrivateKey | None = None

    def __post_init__(self) -> None:
        self.lender = Lender.of(self.kit)
        self.lender.roster = self.write

    def write(self, asked: Asked) -> str:
        usual: dict[str, object] = {
            "kit_id": KIT,
            "nonce": asked.nonce,
            "version": self.version,
            "issued": write_instant(datetime.now(UTC)),
            "hours": 168,
            "officers": tuple(Listed(each, NAMES[each]) for each in self.officers),
            "enrolments": tuple(
                Waiting(each, base64.urlsafe_b64encode(sealed).rstrip(b"=").decode())
                for each, sealed in self.enrolments.items()
            ),
        }
        key = self.key or self.kit.command_key
        kid = signed.key_id(self.kit.command_key.public_key())
        return sign(Roster(**{**usual, **self.changes}), key, kid)  # type: ignore[arg-type]

    def answer(self) -> None:
        """Let the agent ask, and answer until it has what it asked for."""
        desk = self.top.desk
        desk._ask(lambda office: setattr(office._leasing, "_ask_at", 0.0))
        desk._ask(lambda office: office.look())

        def took() -> bool:
            self.lender.answer(self.kit)
            desk._ask(lambda office: office.look())
            return desk._ask(lambda office: not office._leasing._nonce)

        until(took)

    def lets_in(self, officer_id: str, hours: int = 72, kit_id: str = KIT) -> None:
        holder = leaf(
            Role.OFFICER,
            officer_id,
            self.kit.issuing,
            start=datetime.now(UTC) - WEEK,
            end=datetime.now(UTC) + WEEK,
        )
        chain = (holder.certificate, self.kit.issuing.certificate)
        until_ = datetime.now(UTC) + timedelta(hours=hours)
        sealed = enrolment.seal(CODE, kit_id, Newcomer(officer_id, new_ulid(), holder.key, chain), until_)
        self.officers = (*self.officers, officer_id)
        self.enrolments = {officer_id: sealed}
        self.version += 1


@pytest.fixture
def clock() -> Shifted:
    return Shifted()


@pytest.fixture
def top(kit: Kit, clock: Shifted) -> Iterator[Desktop]:
    with on(kit, clock) as made:
        yield made


@pytest.fixture
def fleet(kit: Kit, top: Desktop) -> Fleet:
    return Fleet(kit, top)


def here(top: Desktop) -> list[str]:
    return [each.officer_id for each in top.desk.now().gate.officers]


def refusal(top: Desktop, officer: str, pin: str) -> Code:
    with pytest.raises(KitError) as no:
        top.desk.unlock(officer, pin)
    return no.value.code


def not_enrolled(top: Desktop, officer: str = NEW, code: str = CODE, pin: str = NEW_PIN) -> Code:
    with pytest.raises(KitError) as no:
        top.desk.enrol(officer, code, pin)
    return no.value.code


def accesses(kit: Kit) -> list[str]:
    return [what for body in told(kit) if (what := getattr(body, "what", ""))]


def test_an_officer_comes_with_a_code_beside_a_colleague(kit: Kit, top: Desktop, fleet: Fleet) -> None:
    fleet.lets_in(NEW)
    fleet.answer()
    with pytest.raises(Refused):
        top.desk.enrol(NEW, CODE, NEW_PIN)
    top.desk.unlock(OFFICER, PIN)
    assert [each.name for each in top.desk.now().newcomers] == ["Els Claes"]
    assert not_enrolled(top, code="9" * 20) == Code.WRONG_ENROLMENT
    assert not_enrolled(top, pin="123456") == Code.WEAK_PIN
    assert not_enrolled(top, officer="nobody.here") == Code.NO_ENROLMENT
    top.desk.enrol(NEW, CODE, NEW_PIN)
    assert top.desk.now().newcomers == ()
    assert not_enrolled(top) == Code.NO_ENROLMENT
    visit = kit.visit(officer_id=NEW)
    kit.bring_bag(visit)
    top.desk.unlock(NEW, NEW_PIN)
    top.until(lambda seen: seen.visits)
    top.desk.choose(visit.visit_id)
    until(lambda: "officer-added" in accesses(kit))


def test_a_code_works_once_also_for_who_went_and_came_back(kit: Kit, top: Desktop, fleet: Fleet) -> None:
    fleet.lets_in(NEW)
    fleet.answer()
    top.desk.unlock(OFFICER, PIN)
    top.desk.enrol(NEW, CODE, NEW_PIN)
    enrolments, fleet.enrolments = fleet.enrolments, {}
    fleet.officers, fleet.version = (OFFICER, COLLEAGUE), fleet.version + 1
    fleet.answer()
    assert NEW not in here(top)
    fleet.officers, fleet.version, fleet.enrolments = (OFFICER, COLLEAGUE, NEW), fleet.version + 1, enrolments
    fleet.answer()
    assert not_enrolled(top) == Code.ENROLMENT_EXPIRED


def test_five_wrong_codes_make_the_newcomer_wait(top: Desktop, fleet: Fleet) -> None:
    fleet.lets_in(NEW)
    fleet.answer()
    top.desk.unlock(OFFICER, PIN)
    for _ in range(5):
        assert not_enrolled(top, code="9" * 20) == Code.WRONG_ENROLMENT
    assert not_enrolled(top) == Code.TOO_MANY_TRIES


@pytest.mark.parametrize(
    ("hours", "kit_id", "code"), [(50, KIT, "ENROLMENT_EXPIRED"), (72, "kit-x", "WRONG_ENROLMENT")]
)
def test_a_code_that_is_too_old_or_of_another_kit_lets_nobody_in(
    top: Desktop, fleet: Fleet, clock: Shifted, hours: int, kit_id: str, code: str
) -> None:
    fleet.lets_in(NEW, hours, kit_id)
    fleet.answer()
    clock.run(30)
    fleet.answer()
    clock.run(21)
    fleet.answer()
    top.desk.unlock(OFFICER, PIN)
    assert not_enrolled(top) == Code[code]


def test_who_is_no_longer_on_the_list_is_shut_out_for_good(kit: Kit, top: Desktop, fleet: Fleet) -> None:
    top.desk.unlock(COLLEAGUE, PIN)
    fleet.officers, fleet.version = (OFFICER,), 2
    fleet.answer()
    top.until(lambda seen: seen.officer is None and len(seen.gate.officers) == 1)
    assert refusal(top, COLLEAGUE, PIN) == Code.UNKNOWN_OFFICER
    assert top.desk.now().gate.removed
    database = Database(kit.data / "vault.db")
    assert door.owed(database)
    before = database.rows("SELECT door FROM officer")
    top.desk.unlock(OFFICER, PIN)
    assert not door.owed(database)
    assert database.rows("SELECT door FROM officer") != before, "another door key"
    for table in ("officer", "recovery", "ticket", "card"):
        assert database.rows(f"SELECT 1 FROM {table} WHERE officer_id = ?", (COLLEAGUE,)) == []
    database.close()
    fleet.answer()
    until(lambda: accesses(kit).count("officer-removed") == 1)


def test_a_colleague_who_is_in_goes_on_with_a_new_door_key(kit: Kit, top: Desktop, fleet: Fleet) -> None:
    visit = a_visit_of(kit, top)
    fleet.officers, fleet.version = (OFFICER,), 2
    fleet.answer()
    top.until(lambda seen: len(seen.gate.officers) == 1)
    top.desk.choose(visit)
    top.desk.lock()
    top.desk.unlock(OFFICER, PIN)
    top.desk.choose(visit)


def a_visit_of(kit: Kit, top: Desktop) -> str:
    top.desk.unlock(OFFICER, PIN)
    visit = a_visit(kit, top)
    top.desk.choose(visit.visit_id)
    top.desk.leave()
    return visit.visit_id


def test_a_visit_on_the_counter_is_finished_before_its_officer_goes(
    kit: Kit, top: Desktop, fleet: Fleet
) -> None:
    top.desk.unlock(OFFICER, PIN)
    visit = a_visit(kit, top)
    top.desk.choose(visit.visit_id)
    fleet.officers, fleet.version = (COLLEAGUE,), 2
    fleet.answer()
    for step in top.steps():
        step()
    top.until(lambda seen: seen.visit and seen.visit.sealed)
    top.desk.leave()
    top.until(lambda seen: seen.officer is None and OFFICER not in here(top))


def test_a_list_that_is_too_old_lets_nobody_in_but_who_must_finish(
    kit: Kit, top: Desktop, fleet: Fleet, clock: Shifted
) -> None:
    fleet.changes = {"hours": 3}
    fleet.answer()
    visit = a_visit_of(kit, top)
    clock.run(3.2)
    top.desk.unlock(OFFICER, PIN)
    top.desk.choose(visit)
    clock.run(1)
    top.desk.leave()
    top.until(lambda seen: seen.officer is None and seen.gate.list_ended)
    assert refusal(top, OFFICER, PIN) == Code.ROSTER_ENDED
    fleet.changes = {}
    fleet.answer()
    top.until(lambda seen: not seen.gate.list_ended)
    top.desk.unlock(OFFICER, PIN)


@pytest.mark.parametrize("wrong", ["foreign", "stale", "older", "re-signed", "before", "nobody"])
def test_a_list_that_does_not_count_changes_nothing(kit: Kit, top: Desktop, fleet: Fleet, wrong: str) -> None:
    fleet.version = 5
    fleet.answer()
    fleet.officers, fleet.version = (OFFICER,), 6
    if wrong == "foreign":
        fleet.changes = {"kit_id": "kit-other-01"}
    elif wrong == "stale":
        fleet.changes = {"nonce": new_ulid()}
    elif wrong == "older":
        fleet.version = 4
    elif wrong == "before":
        fleet.version = 5
        fleet.changes = {"issued": "2026-01-01T00:00:00Z"}
    elif wrong == "re-signed":
        fleet.key = ec.generate_private_key(ec.SECP256R1())
    else:
        fleet.officers = (NEW,)
    fleet.answer()
    assert set(here(top)) == {OFFICER, COLLEAGUE}
    fleet.changes, fleet.key, fleet.officers, fleet.version = {}, None, (OFFICER,), 6
    fleet.answer()
    top.until(lambda seen: here(top) == [OFFICER])
