"""What goes wrong with a real reader: pulled, mute and foreign cards, other programs, a dying pcscd."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from smartcard import scard

from device.drivers.eid.driver import open_reader
from device.drivers.eid.settings import Settings
from device.drivers.eid.trust import TrustStore
from device.errors import Code, KitError
from device.ports import Capture
from tests.device.drivers.eid.conftest import ANSWER_S, Bench, CardMaker
from tests.device.drivers.eid.reader import SLOT_NAMES

pytestmark = pytest.mark.system


@pytest.mark.parametrize("number", [1, 7, 24, 43])
def test_a_card_pulled_while_reading_is_reported_at_once_and_the_next_reads_well(
    bench: Bench, card: CardMaker, number: int
) -> None:
    with bench.holding(card(), {"do": "pull", "at": number}):
        began = time.monotonic()
        with pytest.raises(KitError) as caught:
            bench.read()
        assert caught.value.code is Code.CARD_REMOVED
        assert time.monotonic() - began < 2.0
    if number == 43:
        assert bench.read_once(card()).verdict == "verified"


def test_a08_a_mute_card_is_given_up_in_time_and_a_later_one_read(bench: Bench, card: CardMaker) -> None:
    with bench.holding(card(), {"do": "mute", "at": 9}):
        began = time.monotonic()
        with pytest.raises(KitError) as caught:
            bench.read()
        assert caught.value.code is Code.CARD_MUTE
        assert time.monotonic() - began < ANSWER_S + 0.5
        assert bench.driver.condition().state == "degraded"
        with pytest.raises(KitError) as again:
            bench.read()
        assert again.value.code is Code.CARD_MUTE
    assert bench.read_once(card()).verdict == "verified"
    assert bench.driver.condition().state == "ok"


def test_a_read_that_is_cancelled_ends_although_the_card_does_not_answer(
    bench: Bench, card: CardMaker
) -> None:
    cancel = threading.Event()
    with bench.holding(card(), {"do": "slow", "seconds": 0.4}):
        threading.Timer(0.3, cancel.set).start()
        with pytest.raises(KitError) as caught:
            bench.driver.read(Capture(30.0, lambda share, code: None, cancel))
        assert caught.value.code is Code.CANCELLED


def test_a06_two_cards_are_never_mixed(bench: Bench, card: CardMaker) -> None:
    other = card(defects=("no-certificates",))
    reading = bench.read_once(card(), {"do": "swap", "at": 14, "card": str(other)})
    assert (reading.verdict, reading.reasons, reading.identity) == ("rejected", ("card-swapped",), None)


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "status", "at": 12, "status": "6F00"},
        {"do": "status", "at": 5, "status": "6581"},
        {"do": "status", "at": 30, "status": "6400"},
        {"do": "endless-6c"},
        {"do": "endless-61", "at": 2},
        {"do": "endless-blocks"},
        {"do": "long"},
    ],
    ids=lambda fault: f"{fault['do']} {fault.get('status', '')}".strip(),
)
def test_a10_a_card_that_answers_nonsense_ends_in_an_error(
    bench: Bench, card: CardMaker, fault: dict[str, Any]
) -> None:
    began = time.monotonic()
    with pytest.raises(KitError) as caught:
        bench.read_once(card(), fault)
    assert caught.value.code is Code.CARD_MUTE
    assert time.monotonic() - began < 4.0


def test_a10_files_of_one_byte_are_no_card_to_believe(bench: Bench, card: CardMaker) -> None:
    assert bench.read_once(card(), {"do": "one-byte"}).verdict == "rejected"


BANK = "3B6800000073C84013009000"
LONG_ATR = "3B" + "FF" * 40


@pytest.mark.parametrize(
    ("atr", "fault"),
    [
        (BANK, None),
        ("01020304", None),
        (LONG_ATR, None),
        (None, {"do": "status", "status": "6A82"}),
        (None, {"do": "status", "status": "6D00"}),
    ],
    ids=["bank card", "garbage", "long", "knows no file", "knows no command"],
)
def test_a09_what_is_no_eid_is_called_so(
    bench: Bench, card: CardMaker, tmp_path: Path, atr: str | None, fault: dict[str, Any] | None
) -> None:
    folder = card()
    if atr is not None:
        folder = Path(shutil.copytree(folder, tmp_path / "foreign"))
        (folder / "atr.bin").write_bytes(bytes.fromhex(atr))
    with bench.holding(folder, *([fault] if fault else [])):
        assert bench.read().verdict == "not-an-eid"
        if atr is not None:
            assert bench.virtual.log() == []  # it is not even asked


@contextmanager
def other_program(mode: int) -> Iterator[int]:
    """Another client with the card in its hands."""
    _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    code, handle, _ = scard.SCardConnect(context, SLOT_NAMES[0], mode, scard.SCARD_PROTOCOL_T0)
    assert code == 0
    try:
        yield handle
    finally:
        scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)
        scard.SCardReleaseContext(context)


def test_a07_a_reader_held_by_another_program_is_waited_for_and_then_reported(
    bench: Bench, card: CardMaker
) -> None:
    with bench.holding(card()):
        with other_program(scard.SCARD_SHARE_EXCLUSIVE), pytest.raises(KitError) as caught:
            bench.read()
        assert caught.value.code is Code.READER_IN_USE
        assert bench.read().verdict == "verified"


def test_a07_another_program_that_selects_and_resets_meanwhile_changes_nothing(
    bench: Bench, card: CardMaker
) -> None:
    over = threading.Event()

    def meddle() -> None:
        while not over.is_set():
            with other_program(scard.SCARD_SHARE_SHARED) as handle:
                select = [0x00, 0xA4, 0x08, 0x0C, 0x06, 0x3F, 0x00, 0xDF, 0x01, 0x40, 0x33]
                scard.SCardTransmit(handle, scard.SCARD_PCI_T0, select)

    with bench.holding(card(), {"do": "slow", "seconds": 0.005}):
        meddler = threading.Thread(target=meddle)
        meddler.start()
        try:
            assert bench.read().verdict == "verified"
        finally:
            over.set()
            meddler.join()


def test_a07_a_reset_by_another_program_begins_the_read_anew(bench: Bench, card: CardMaker) -> None:
    slow = {"do": "slow", "seconds": 0.01}
    with bench.holding(card(), slow), other_program(scard.SCARD_SHARE_SHARED) as handle:

        def reset() -> None:
            how = (scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_T0, scard.SCARD_RESET_CARD)
            scard.SCardReconnect(handle, *how)

        threading.Timer(0.15, reset).start()
        assert bench.read().verdict == "verified"


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
        end = time.monotonic() + 3
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
        bench.until("card", 5.0)
        assert bench.read().verdict == "verified"


def test_a16_a_pcscd_that_dies_during_a_read_is_no_hang(bench: Bench, card: CardMaker) -> None:
    with bench.holding(card(), {"do": "slow", "seconds": 0.05}):
        threading.Timer(0.5, bench.virtual.daemon, ["kill"]).start()
        with pytest.raises(KitError) as caught:
            bench.read()
        assert caught.value.code is Code.NO_READER
        time.sleep(0.2)
        bench.virtual.daemon("start")
        bench.until("card", 5.0)
