"""`kill -9` at the landmarks of everything that opens and closes the store, and of sealing in two steps.

Lists of officers, officers who come and go, PINs, codes, leases, epochs, security keys: a child of this
process does it on a whole desk and dies there without a word; what is on disk then opens in exactly one way,
the work that was begun is there, and what happened is told to the fleet once.

THUISLOKET_LONG=1: at every landmark of each; else at a choice of them.
"""

import base64
import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from device.errors import KitError
from device.vault import door, lease
from device.vault.database import Database
from device.vault.recovery import Administrator
from device.vault.security_keys import SecurityKey, SecurityKeys
from protocol.bag import BagVisit
from protocol.identity import Role
from protocol.unlock_code import agree, read_challenge, write_code
from tests.device.agent.crashing import DIED, Executioner
from tests.device.agent.kit import COLLEAGUE, KIT, OFFICER, PIN, WEEK, Desktop, Kit
from tests.device.agent.test_crash import ends_well
from tests.device.agent.test_leasing import HOUR, Shifted, settled
from tests.device.agent.test_outgoing import shelf
from tests.device.agent.test_roster import CODE, NEW, NEW_PIN, Fleet, accesses
from tests.mosquitto import until
from tests.protocol.certificates import Holder, leaf
from tests.protocol.sealed import authenticator

OTHER_PIN = "916273"
KEY = X25519PrivateKey.generate()
CREDENTIAL = bytes(range(32))
LONG = os.environ.get("THUISLOKET_LONG") == "1"

pytestmark = pytest.mark.system

T = TypeVar("T")


@dataclass
class Stage:
    """A kit with a visit begun, in epoch 1, and what the fleet that it asks would say."""

    kit: Kit
    visit: BagVisit
    clock: Shifted = field(default_factory=Shifted)
    shares: dict[int, bytes] = field(default_factory=dict)
    officers: tuple[str, ...] = (OFFICER, COLLEAGUE)
    version: int = 1
    enrolments: dict[str, bytes] = field(default_factory=dict)

    def on(self, **changes: object) -> Desktop:
        usual = {"clock": self.clock, "lease_wanted": True, "idle_lock_s": 1e9, "health_every_s": 1e9}
        administrator = Administrator(KIT, KEY.public_key().public_bytes_raw())
        return Desktop(self.kit, **(usual | {"administrator": administrator} | changes))

    def fleet(self, top: Desktop) -> Fleet:
        made = Fleet(self.kit, top, self.version, self.officers, self.enrolments)
        made.lender.shares = self.shares
        return made

    def officer_ids(self) -> set[str]:
        database = Database(self.kit.data / "vault.db")
        try:
            return {row[0] for row in database.rows("SELECT officer_id FROM officer")}
        finally:
            database.close()


@pytest.fixture
def stage(kit: Kit) -> Stage:
    made = Stage(kit, kit.visit(), shares={0: b"", **{n: bytes([n]) * 32 for n in (1, 2, 3)}})
    kit.bring_bag(made.visit)
    with made.on() as top:
        fleet = made.fleet(top)
        top.until_step(made.visit, "photo")
        top.desk.leave()
        fleet.answer()
        until(lambda: epoch(kit) == 1)
        settled(kit, fleet.lender)
        top.desk.lock()
    return made


def epoch(kit: Kit) -> int:
    database = Database(kit.data / "vault.db")
    try:
        held = lease.read(database)
        assert held is not None
        return held.epoch
    finally:
        database.close()


Act = Callable[[Stage, Desktop], None]


def dies(stage: Stage, landmark: str, act: Act, nth: int = 1) -> bool:
    """Whether a child that does it came to the landmark, and died there."""
    child = os.fork()
    if child == 0:
        ended = 1
        try:
            with stage.on(passed=Executioner(landmark, nth)) as top:
                act(stage, top)
            ended = 0
        except BaseException:  # noqa: BLE001  the child's last word
            traceback.print_exc()
        finally:
            os._exit(ended)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, DIED)
    return code == DIED


def opens(top: Desktop, pin: str, *others: str) -> None:
    """With this PIN and none of the others."""
    for other in others:
        with pytest.raises(KitError, match="wrong-pin"):
            top.desk.unlock(OFFICER, other)
    top.desk.unlock(OFFICER, pin)


def goes_on(stage: Stage, top: Desktop) -> None:
    """The visit that was begun before it all can be finished."""
    top.desk.choose(stage.visit.visit_id)
    seen = top.desk.now().visit
    assert seen is not None
    assert seen.step == "photo"
    assert top.capture("photo").failure is None


def take_list(stage: Stage, top: Desktop) -> None:
    stage.fleet(top).answer()


def signed_in(then: Act) -> Act:
    def do(stage: Stage, top: Desktop) -> None:
        top.desk.unlock(OFFICER, PIN)
        then(stage, top)

    return do


def cases(everyday: Sequence[T], long: Sequence[T]) -> Sequence[T]:
    return long if LONG else everyday


ROSTER = ("list:before", "list:after", "roster:before", "roster:after")
TAKES: dict[str, Act] = {"nobody-in": take_list, "a-colleague-in": signed_in(take_list)}


@pytest.mark.parametrize(
    ("landmark", "who"),
    cases(
        [("list:after", "nobody-in"), ("roster:before", "a-colleague-in"), ("roster:after", "nobody-in")],
        [(landmark, who) for landmark in ROSTER for who in TAKES],
    ),
)
def test_a_list_that_removes_somebody_is_taken_whole_whenever_the_power_goes(
    stage: Stage, landmark: str, who: str
) -> None:
    stage.officers, stage.version = (OFFICER,), 2
    assert dies(stage, landmark, TAKES[who])
    assert stage.officer_ids() == {OFFICER} | (set() if landmark == "roster:after" else {COLLEAGUE})
    with stage.on() as top:
        stage.fleet(top).answer()
        top.until(lambda seen: len(seen.gate.officers) == 1)
        opens(top, PIN)
        goes_on(stage, top)
        with pytest.raises(KitError, match="unknown-officer"):
            top.desk.unlock(COLLEAGUE, PIN)
    assert stage.officer_ids() == {OFFICER}
    database = Database(stage.kit.data / "vault.db")
    assert not door.owed(database)
    database.close()
    assert accesses(stage.kit) == ["officer-removed"]


def enrol(stage: Stage, top: Desktop) -> None:
    stage.fleet(top).answer()
    top.desk.unlock(OFFICER, PIN)
    top.desk.enrol(NEW, CODE, NEW_PIN)


@pytest.mark.parametrize("landmark", cases(ROSTER[2:], ROSTER))
def test_a_newcomer_is_let_in_once_or_not_yet(stage: Stage, landmark: str) -> None:
    with stage.on() as top:
        fleet = stage.fleet(top)
        fleet.lets_in(NEW)
        stage.officers, stage.version, stage.enrolments = fleet.officers, fleet.version, fleet.enrolments
    assert dies(stage, landmark, enrol)
    assert (NEW in stage.officer_ids()) == (landmark == "roster:after")
    with stage.on() as top:
        stage.fleet(top).answer()
        if NEW not in stage.officer_ids():
            top.desk.unlock(OFFICER, PIN)
            top.desk.enrol(NEW, CODE, NEW_PIN)
        top.desk.unlock(NEW, NEW_PIN)
        with pytest.raises(KitError, match="no-enrolment"):
            top.desk.enrol(NEW, CODE, NEW_PIN)
        opens(top, PIN)
        goes_on(stage, top)
    assert accesses(stage.kit) == ["officer-added"]


def change_pin(stage: Stage, top: Desktop) -> None:
    top.desk.unlock(OFFICER, PIN)
    top.desk.change_pin(PIN, OTHER_PIN)


def use_code(stage: Stage, top: Desktop) -> None:
    told = read_challenge(top.desk.challenge(OFFICER), KIT, OFFICER)
    ends = datetime.now(UTC) + timedelta(hours=24)
    top.desk.recover(OFFICER, write_code(agree(KEY, told.point, told), told, ends), OTHER_PIN)


PINS = [
    *((landmark, change_pin, "pin-changed") for landmark in ("pin:before", "pin:after")),
    *((landmark, use_code, "code-used") for landmark in ("pin:before", "pin:after")),
]


@pytest.mark.parametrize(("landmark", "act", "what"), cases(PINS[1:3], PINS))
def test_a_pin_is_the_old_one_or_the_new_one(stage: Stage, landmark: str, act: Act, what: str) -> None:
    assert dies(stage, landmark, act)
    with stage.on() as top:
        opens(top, *((PIN, OTHER_PIN) if landmark == "pin:before" else (OTHER_PIN, PIN)))
        goes_on(stage, top)
        assert top.desk.challenge(OFFICER), "and there is a way back"
    assert accesses(stage.kit) == ([] if landmark == "pin:before" else [what])


def next_epoch(stage: Stage, top: Desktop) -> None:
    top.desk.unlock(OFFICER, PIN)
    fleet = stage.fleet(top)
    fleet.lender.epochs = 2
    fleet.answer()
    until(lambda: epoch(stage.kit) == 2)


@pytest.mark.parametrize(
    "landmark",
    cases(["lease:after", "epoch:before"], ["lease:before", "lease:after", "epoch:before", "epoch:after"]),
)
def test_a_lease_and_the_epoch_after_it_survive_a_cut(stage: Stage, landmark: str) -> None:
    assert dies(stage, landmark, next_epoch)
    assert epoch(stage.kit) == (2 if landmark == "epoch:after" else 1)
    with stage.on() as top:
        opens(top, PIN)
        goes_on(stage, top)
        stage.fleet(top).answer()
        assert not top.desk.now().gate.closed


def let_it_end(stage: Stage, top: Desktop) -> None:
    stage.clock.ran, stage.clock.wall = 49 * HOUR, timedelta(hours=49)
    top.until(lambda seen: seen.gate.closed)
    until(lambda: top.desk._ask(lambda office: office.look()) or "lease-ended" in accesses(stage.kit))


@pytest.mark.parametrize("landmark", cases(["lease:before"], ["lease:before", "lease:after"]))
def test_a_lease_that_ends_is_ended_once_and_opens_again(stage: Stage, landmark: str) -> None:
    assert dies(stage, landmark, let_it_end)
    stage.clock.ran, stage.clock.wall = 49 * HOUR, timedelta(hours=49)
    with stage.on() as top:
        top.until(lambda seen: seen.gate.closed)
        with pytest.raises(KitError, match="lease-ended"):
            top.desk.unlock(OFFICER, PIN)
        stage.fleet(top).answer()
        top.until(lambda seen: not seen.gate.closed)
        opens(top, PIN)
        goes_on(stage, top)
    assert accesses(stage.kit) == ["lease-ended"]


# --- a security key: the packet is made, the key answers, and then it counts ------------------------------


@pytest.fixture
def keyed(kit: Kit) -> tuple[Kit, BagVisit, Holder]:
    """A kit whose officer has a security key, before the last step of a visit."""
    now = datetime.now(UTC)
    key = leaf(Role.OFFICER_KEY, OFFICER, kit.issuing, start=now - WEEK, end=now + WEEK)
    database = Database(kit.data / "vault.db")
    keys = SecurityKeys(database)
    with database.transaction() as tx:
        keys.write(tx, OFFICER, SecurityKey(CREDENTIAL, (key.certificate, kit.issuing.certificate)))
    database.close()
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "seal")
    return kit, visit, key


def seal_with(key: Holder, visit: BagVisit, top: Desktop, *, answered: bool = True) -> None:
    top.begin(visit)
    top.desk.start("seal-key")
    shown = top.desk.now().visit
    assert shown is not None
    assert shown.key is not None
    if not answered:
        os._exit(DIED)
    challenge = base64.urlsafe_b64decode(shown.key.challenge + "=" * (-len(shown.key.challenge) % 4))
    said = authenticator.client_data(challenge)
    told = authenticator.answer(key.key, (key.certificate,), said)
    top.desk.answer_key(told.authenticator_data, told.client_data, told.signature)
    top.until(lambda seen: seen.visit and seen.visit.sealed)


@pytest.mark.parametrize(
    "landmark",
    cases(
        ["", "sealed:before", "noted:after"],
        ["", "sealed:before", "noted:before", "noted:after", "offered:before", "offered:after"],
    ),
    ids=lambda name: name or "asked",
)
def test_sealing_with_a_key_is_done_whole_or_is_there_to_be_done_again(
    keyed: tuple[Kit, BagVisit, Holder], landmark: str
) -> None:
    kit, visit, key = keyed
    stage = Stage(kit, visit)

    def act(stage: Stage, top: Desktop) -> None:
        seal_with(key, visit, top, answered=bool(landmark))

    assert dies(stage, landmark, act)
    assert len(shelf(kit)) == (0 if landmark in ("", "sealed:before", "noted:before") else 1)
    ends_well(kit, visit.visit_id)
