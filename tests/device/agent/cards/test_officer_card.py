"""An officer's own eID beside the kit's PIN: enrolled, proven, taken away; through the real pcscd."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device.agent import enrolling
from device.agent.signin import COUNTS_S
from device.agent.snapshot import CardSignIn, Snapshot
from device.drivers.eid.driver import open_reader
from device.drivers.eid.settings import Settings
from device.drivers.eid.trust import TrustStore
from device.emulators.eid.spec import Person
from device.errors import Code, KitError, Refused
from device.ports import HolderProof
from device.vault.database import Database
from device.vault.gate import Gate
from tests.device.agent.cards.counting import entries_of
from tests.device.agent.kit import COLLEAGUE, KIT, OFFICER, PIN, Desktop, Kit
from tests.device.agent.peripherals import Bench
from tests.device.drivers.eid.conftest import CardMaker
from tests.device.drivers.eid.reader import SLOT_NAMES, VirtualReader

pytestmark = pytest.mark.system
CARD_PIN = "4711"
READER = Settings(reader=SLOT_NAMES[0])


@pytest.fixture
def own(card: CardMaker) -> Path:
    return card(pin=CARD_PIN, identity=Person(surname="Ambtenaar"))


@pytest.fixture
def inserted(virtual: VirtualReader, own: Path) -> Iterator[Callable[[Path], None]]:
    """The officer's card is in the reader; another one can be put in its place."""

    def insert(folder: Path) -> None:
        virtual.remove(0)
        time.sleep(0.6)
        virtual.insert(folder, 0, ())

    virtual.insert(own, 0, ())
    yield insert
    virtual.remove(0)
    time.sleep(0.6)


def enrol(kit: Kit, trust: TrustStore, pin: str = PIN, card_pin: str = CARD_PIN) -> HolderProof:
    reader = open_reader(READER, trust)
    entry = bytearray(card_pin.encode())
    try:
        return enrolling.enrol(
            kit.data / "vault.db", kit.key_source, kit.clock, reader, KIT, OFFICER, pin, entry, False
        )
    finally:
        assert not any(entry)
        reader.close()


class Office(Desktop):
    """A desk whose card reader is the real one."""

    def __init__(self, kit: Kit, trust: TrustStore, **changes: object) -> None:
        openers = replace(Bench().openers(), card=lambda: open_reader(READER, trust))
        super().__init__(kit, openers=openers, **changes)

    def shown(self, true: Callable[[CardSignIn], object]) -> CardSignIn:
        def seen(snapshot: Snapshot) -> object:
            return snapshot.busy is None and snapshot.gate.card is not None and true(snapshot.gate.card)

        card = self.until(seen).gate.card
        assert card is not None
        return card

    def give(self, pin: str, last_try: bool = False) -> None:
        self.desk.show_card(OFFICER)
        pin_view = self.shown(lambda card: card.pin or card.problem).pin
        assert pin_view is not None
        self.desk.enter_officer_pin(pin_view.entry, bytearray(pin.encode()), last_try)
        self.until(lambda seen: seen.busy is None)


def refused(top: Desktop, officer: str = OFFICER, pin: str = PIN) -> Code:
    with pytest.raises(KitError) as caught:
        top.desk.unlock(officer, pin)
    return caught.value.code


def test_the_pin_alone_no_longer_opens_and_card_and_pin_do(
    kit: Kit,
    trust: TrustStore,
    virtual: VirtualReader,
    inserted: object,
) -> None:
    assert enrol(kit, trust).outcome == "proven"
    with Office(kit, trust) as top:
        assert refused(top) is Code.CARD_NEEDED
        assert [each.card for each in top.desk.now().gate.officers] == [True, False]
        top.give(CARD_PIN)
        assert top.shown(lambda card: card.proven)
        assert refused(top, pin="000111") is Code.WRONG_PIN  # both are needed
        top.desk.unlock(OFFICER, PIN)
        assert top.desk.now().gate.card is None
        with pytest.raises(Refused):
            top.desk.show_card(OFFICER)  # somebody is signed in
        top.desk.lock()
        assert refused(top) is Code.CARD_NEEDED  # a proof is for one unlocking
        top.desk.unlock(COLLEAGUE, PIN)  # who has no card goes on as before


def test_another_card_and_a_wrong_pin_of_the_card_let_nobody_in(
    kit: Kit,
    trust: TrustStore,
    virtual: VirtualReader,
    inserted: Callable[[Path], None],
    card: CardMaker,
) -> None:
    enrol(kit, trust)
    with Office(kit, trust) as top:
        top.give("0000")
        seen = top.shown(lambda card: card.pin)
        assert seen.pin is not None
        assert (seen.pin.said, seen.pin.tries_left, seen.proven) == ("wrong-pin", 2, False)
        assert refused(top) is Code.CARD_NEEDED
        inserted(card(pin=CARD_PIN, identity=Person(surname="Iemandanders")))
        time.sleep(1)
        top.give(CARD_PIN)
        assert top.shown(lambda card: card.problem).problem == "other-card"
        assert entries_of(virtual) == 0
        assert refused(top) is Code.CARD_NEEDED


def test_who_edits_the_database_makes_the_card_no_less_needed(
    kit: Kit,
    trust: TrustStore,
    inserted: object,
) -> None:
    enrol(kit, trust)
    database = Database(kit.data / "vault.db")
    gate = Gate(database, kit.key_source, kit.clock)
    enrolled = gate.card(OFFICER)
    for change in ("DELETE FROM card", "INSERT OR REPLACE INTO card VALUES ('an.peeters', x'00')"):
        with database.transaction() as tx:
            tx.execute(change)
        with pytest.raises(KitError) as caught:
            gate.unlock(OFFICER, PIN, gate.card(OFFICER))
        assert caught.value.code is Code.WRONG_PIN
    with database.transaction() as tx:
        tx.execute("INSERT OR REPLACE INTO card VALUES (?, ?)", (OFFICER, enrolled))
    gate.unlock(OFFICER, PIN, enrolled).lock()
    database.close()


def test_a_new_pin_keeps_the_card_and_a_lost_card_is_taken_away(
    kit: Kit,
    trust: TrustStore,
    inserted: object,
) -> None:
    enrol(kit, trust)
    database = Database(kit.data / "vault.db")
    gate = Gate(database, kit.key_source, kit.clock)
    gate.change_pin(OFFICER, PIN, "730264")
    with pytest.raises(KitError) as caught:
        gate.unlock(OFFICER, "730264")
    assert caught.value.code is Code.CARD_NEEDED
    database.close()
    enrolling.release(kit.data / "vault.db", kit.key_source, kit.clock, OFFICER, "730264")
    with Desktop(kit) as top:
        top.desk.unlock(OFFICER, "730264")


@pytest.mark.parametrize(("pin", "card_pin", "entries"), [("000111", CARD_PIN, 0), (PIN, "0000", 1)])
def test_a_card_is_enrolled_only_with_both_pins_and_the_kits_pin_first(
    kit: Kit,
    trust: TrustStore,
    virtual: VirtualReader,
    inserted: object,
    pin: str,
    card_pin: str,
    entries: int,
) -> None:
    if pin == PIN:
        assert enrol(kit, trust, pin, card_pin).outcome == "wrong-pin"
    else:
        with pytest.raises(KitError):
            enrol(kit, trust, pin, card_pin)
    assert entries_of(virtual) == entries
    with Desktop(kit) as top:
        top.desk.unlock(OFFICER, PIN)


def test_what_was_proven_counts_for_a_minute(kit: Kit, trust: TrustStore, inserted: object) -> None:
    enrol(kit, trust)

    class Clock:
        ahead = 0.0

        def now(self) -> object:
            return kit.clock.now()

        def monotonic(self) -> float:
            return time.monotonic() + self.ahead

    clock = Clock()
    with Office(kit, trust, clock=clock) as top:
        top.give(CARD_PIN)
        assert top.shown(lambda card: card.proven)
        clock.ahead = COUNTS_S + 1
        assert refused(top) is Code.CARD_NEEDED
        top.until(lambda seen: seen.gate.card is None)
