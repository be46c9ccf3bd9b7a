"""Readers and cards that come and go, two of each, and a pcscd that dies (A16, A17)."""

import shutil
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device.drivers.eid.driver import open_reader
from device.drivers.eid.settings import Settings
from device.drivers.eid.trust import TrustStore
from device.emulators.eid.spec import Person
from device.errors import Code, KitError
from device.ports import Capture
from tests.device.drivers.eid.conftest import ANSWER_S, Bench, CardMaker, patience
from tests.device.drivers.eid.reader import SECOND_READER, SLOT_NAMES

pytestmark = pytest.mark.system
EVENT_S = 0.5
TIMES = 7
BANK = bytes.fromhex("3B6800000073C84013009000")


@pytest.fixture
def any_reader(bench: Bench, trust: TrustStore) -> Iterator[Bench]:
    """A driver that takes whichever reader has the eID, as the kit's does."""
    driver = open_reader(Settings(answer_s=ANSWER_S), trust)
    yield Bench(bench.virtual, driver)
    driver.close()


def test_a16_a_card_that_comes_or_goes_is_seen_within_half_a_second(
    bench: Bench, card: CardMaker, record_property: Callable[[str, object], None]
) -> None:
    """The median: pcscd itself looks every 0.4 s, and a busy machine may be late once."""
    folder = card()
    seen: dict[str, list[float]] = {"card": [], "no-card": []}
    for _ in range(TIMES):
        for presence in ("card", "no-card"):
            if presence == "card":
                bench.virtual.insert(folder)
            else:
                bench.virtual.remove()
            began = time.monotonic()
            bench.until(presence)
            seen[presence].append(time.monotonic() - began)
    medians = {presence: statistics.median(times) for presence, times in seen.items()}
    record_property("a16", {presence: f"{seconds * 1000:.0f} ms" for presence, seconds in medians.items()})
    assert max(medians.values()) <= EVENT_S


def test_a16_a_reader_unplugged_and_plugged_in_elsewhere_is_found_again(
    any_reader: Bench, card: CardMaker
) -> None:
    folder = card()
    virtual, driver = any_reader.virtual, any_reader.driver
    virtual.insert(folder)
    virtual.insert(folder, slot=2)  # there when the second reader is
    try:
        any_reader.until("card")
        virtual.plug()
        any_reader.until("no-reader")
        assert driver.condition().state == "missing"
        with pytest.raises(KitError) as caught:
            any_reader.read()
        assert caught.value.code is Code.NO_READER
        virtual.plug(1)
        any_reader.until("card")
        assert driver.condition().model == SECOND_READER
        assert any_reader.read().verdict == "verified"
    finally:
        virtual.remove()
        virtual.remove(slot=2)
        virtual.plug(0)
    any_reader.until("no-card")


def test_a17_two_cards_in_two_slots_are_asked_about_and_never_mixed(
    any_reader: Bench, bench: Bench, card: CardMaker
) -> None:
    virtual = any_reader.virtual
    virtual.insert(card(identity=Person(surname="Eerste")))
    virtual.insert(card(identity=Person(surname="Tweede")), slot=1)
    try:
        bench.until("card")
        end = time.monotonic() + 30
        while two_cards(any_reader) is None and time.monotonic() < end:
            time.sleep(0.05)
        assert two_cards(any_reader) is Code.TWO_CARDS
        entry = bytearray(b"1234")
        with pytest.raises(KitError) as caught:
            any_reader.driver.prove(entry, patience())
        assert caught.value.code is Code.TWO_CARDS
        assert not any(entry)
        identity = bench.read().identity  # the reader that is named
        assert identity is not None
        assert identity.surname == "Eerste"
        virtual.remove()
        bench.until("no-card")
        time.sleep(0.5)
        identity = any_reader.read().identity  # the one that is left
        assert identity is not None
        assert identity.surname == "Tweede"
    finally:
        virtual.remove()
        virtual.remove(slot=1)


def two_cards(bench: Bench) -> Code | None:
    """Why no card is read; None when one is."""
    try:
        bench.read()
    except KitError as error:
        return error.code
    return None


def test_a17_an_eid_is_preferred_to_whatever_else_lies_in_a_reader(
    any_reader: Bench, card: CardMaker, tmp_path: Path
) -> None:
    virtual = any_reader.virtual
    bank = Path(shutil.copytree(card(), tmp_path / "bank"))
    (bank / "atr.bin").write_bytes(BANK)
    virtual.insert(bank)
    virtual.insert(card(), slot=1)
    try:
        end = time.monotonic() + 30
        while any_reader.driver.condition().model != SLOT_NAMES[1] and time.monotonic() < end:
            time.sleep(0.02)
        assert any_reader.read().verdict == "verified"
    finally:
        virtual.remove()
        virtual.remove(slot=1)


def test_a16_a_card_that_is_still_going_in_when_the_read_begins_is_read(
    bench: Bench, card: CardMaker
) -> None:
    folder = card()
    bench.until("no-card")
    hand = threading.Timer(0.5, bench.virtual.insert, (folder,))
    hand.start()
    try:
        assert bench.read().verdict == "verified"
    finally:
        hand.join()
        bench.virtual.remove()
        bench.until("no-card")


def test_a16_no_reader_and_no_card_are_told_apart(bench: Bench, trust: TrustStore) -> None:
    with pytest.raises(KitError) as caught:
        bench.read()
    assert caught.value.code is Code.NO_CARD
    absent = open_reader(Settings(reader="Another Reader"), trust)
    try:
        assert (absent.presence(), absent.condition().state) == ("no-reader", "missing")
        with pytest.raises(KitError) as missing:
            absent.read(Capture(5.0, lambda share, code: None, threading.Event()))
        assert missing.value.code is Code.NO_READER
    finally:
        absent.close()


def test_a17_the_reader_with_the_card_is_found_among_two(
    bench: Bench, card: CardMaker, trust: TrustStore
) -> None:
    either = open_reader(Settings(), trust)
    try:
        bench.virtual.insert(card(), slot=1)
        end = time.monotonic() + 30
        while either.presence() != "card" and time.monotonic() < end:
            time.sleep(0.02)
        assert either.condition().model == SLOT_NAMES[1]
        assert either.read(Capture(5.0, lambda share, code: None, threading.Event())).verdict == "verified"
        with pytest.raises(KitError):  # the other is named, and empty
            bench.read()
    finally:
        bench.virtual.remove(slot=1)
        either.close()


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_a16_a_restarted_pcscd_is_found_again_by_itself(bench: Bench, card: CardMaker, way: str) -> None:
    with bench.holding(card()):
        bench.virtual.daemon(way)
        bench.until("no-reader")
        assert bench.driver.condition().state == "missing"
        bench.virtual.daemon("start")
        bench.until("card")
        assert bench.read().verdict == "verified"


def test_a16_a_pcscd_that_dies_during_a_read_is_no_hang(bench: Bench, card: CardMaker) -> None:
    with bench.holding(card(), {"do": "slow", "seconds": 0.05}):
        threading.Timer(0.5, bench.virtual.daemon, ["kill"]).start()
        with pytest.raises(KitError) as caught:
            bench.read()
        assert caught.value.code is Code.NO_READER
        time.sleep(0.2)
        bench.virtual.daemon("start")
        bench.until("card")
