"""Whole reads through the real pcscd."""

from datetime import date

import pytest

from device.drivers.eid.trust import TrustStore
from device.emulators.eid.spec import Home, Person, Picture
from tests.device.drivers.eid.conftest import Bench, CardMaker

pytestmark = pytest.mark.system
PERSON = Person(
    surname="Müßtermann-Őrségi",
    first_names="Jörg Käthe",
    third_initial="Ö",
    birth_place="Sankt Vith",
    birth_date=date(2003, 3, 9),
    sex="M",
    noble_condition="Freiherr",
    document_type="35",
    special_status="3",
)


@pytest.mark.parametrize(
    ("generation", "verdict", "applet", "genuine", "flags"),
    [
        ("1.8", "verified", "1.8", "proven", ()),
        ("1.7-rsa", "verified", "1.7", "unproven", ()),
        ("1.7-ec", "verified", "1.7", "unproven", ()),
        ("1.1", "weak", "1.1", "unproven", ("weak-signature",)),
    ],
)
def test_a01_a_card_of_every_generation_is_read_and_judged(
    bench: Bench,
    card: CardMaker,
    generation: str,
    verdict: str,
    applet: str,
    genuine: str,
    flags: tuple[str, ...],
) -> None:
    folder = card(generation=generation, language="de", identity=PERSON, address=Home(street="Prüfstraße 7"))
    shown: list[tuple[float, str]] = []
    with bench.holding(folder):
        reading = bench.read(lambda share, code: shown.append((share, code)))
        commands = bench.virtual.log()
    assert (reading.verdict, reading.applet, reading.genuine, reading.flags) == (
        verdict,
        applet,
        genuine,
        flags,
    )
    assert reading.reasons == ()
    assert reading.test_trust
    identity, address, photo = reading.identity, reading.address, reading.photo
    assert identity is not None
    assert (identity.surname, identity.first_names) == ("Müßtermann-Őrségi", "Jörg Käthe")
    assert (identity.birth_date, identity.sex) == (date(2003, 3, 9), "M")
    assert (identity.document_type, identity.special_status) == (35, 3)
    assert (identity.valid_from, identity.valid_to) == (date(2022, 7, 5), date(2032, 7, 5))
    assert address is not None
    assert (address.street, address.postcode, address.municipality) == ("Prüfstraße 7", "8020", "Oostkamp")
    assert photo is not None
    assert photo.jpeg == (folder / "DF014035.bin").read_bytes()
    assert (photo.width, photo.height) == (140, 200)
    assert reading.chip_number == (folder / "carddata.bin").read_bytes()[:16].hex()
    assert [code for _, code in shown][-1] == "checking"
    assert "reading-identity" in [code for _, code in shown]
    assert [share for share, _ in shown] == sorted(share for share, _ in shown)
    assert len(commands) == reading.apdus


def test_a12_the_card_is_only_ever_read(bench: Bench, card: CardMaker) -> None:
    with bench.holding(card()):
        bench.read()
        log = bench.virtual.log()
    assert {header[1] for header, _, _ in log} == {
        0xA4,
        0xB0,
        0xC0,
        0xE4,
        0x88,
    }  # no VERIFY, no change, no write
    assert all(length == 5 or length == 5 + header[4] for header, length, _ in log)  # never an Le behind data
    assert {status for _, _, status in log} <= {b"\x90\x00", b"\x61\x60", b"\x6b\x00"} | {
        bytes((0x6C, value)) for value in range(256)
    }


def test_nothing_but_zeros_is_left_unread(bench: Bench, card: CardMaker) -> None:
    """Padding behind certificates is 1100 zeros a file; fetching it would double the time."""
    with bench.holding(card()):
        assert bench.read().apdus < 50


@pytest.mark.parametrize("length", [3024, 3060, 15_000], ids=["twelve blocks", "no blocks", "15 kB"])
def test_a04_a_photo_of_any_length_is_read_exactly(bench: Bench, card: CardMaker, length: int) -> None:
    folder = card(photo=Picture(length=length))
    reading = bench.read_once(folder)
    assert reading.photo is not None
    assert len(reading.photo.jpeg) == length
    assert reading.photo.jpeg == (folder / "DF014035.bin").read_bytes()


def test_a14_a_byte_copy_of_a_card_is_flagged(bench: Bench, card: CardMaker) -> None:
    reading = bench.read_once(card(defects=("clone",)))
    assert (reading.verdict, reading.genuine) == ("verified", "failed")
    assert "not-genuine" in reading.flags


def test_the_condition_names_the_reader_and_says_that_the_trust_is_for_tests(
    bench: Bench, trust: TrustStore
) -> None:
    condition = bench.driver.condition()
    assert (condition.state, condition.model, condition.example) == ("ok", "Virtual PCD 00 00", True)
    assert trust.test
