"""What goes wrong with a real reader: pulled, mute and foreign cards, other programs, a dying pcscd."""

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from smartcard import scard

from device.errors import Code, KitError
from device.ports import Capture
from tests.device.drivers.eid.conftest import ANSWER_S, Bench, CardMaker, patience
from tests.device.drivers.eid.reader import SLOT_NAMES

pytestmark = pytest.mark.system


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
        assert 0x20 not in {header[1] for header, _, _ in bench.virtual.log()}
        entry = bytearray(b"1234")
        with contextlib.suppress(KitError):
            assert bench.driver.prove(entry, patience()).outcome != "proven"
        assert not any(entry)
        assert 0x20 not in {header[1] for header, _, _ in bench.virtual.log()}  # and never given a PIN


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
