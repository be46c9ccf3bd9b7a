"""Every kind of card there is, and every way a bad one is bad, through the real pcscd (A1 to A4, A15)."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from device.emulators.eid.spec import Person, Picture
from device.ports import CardReading
from tests.device.drivers.eid.conftest import LONG, Bench, CardMaker

pytestmark = pytest.mark.system
CHILD = {"defects": ("no-certificates",)}
KINDS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "citizen": ({"identity": Person()}, ()),
    "citizen, expired": ({"identity": Person(), "defects": ("expired",)}, ("card-expired",)),
    "born in a year": ({"identity": Person(birth_date=1962)}, ("birth-date",)),
    "born in a year, eight blanks": ({"identity": Person(birth_date=" " * 8 + "1962")}, ("birth-date",)),
    "Kids-ID": (
        {"identity": Person(document_type="6", birth_date=date(2019, 5, 4)), **CHILD},
        ("no-auth-certificate",),
    ),
    "foreigner A": (
        {
            "identity": Person(
                document_type="11",
                card_number="B123456789",
                nationality="Marokko",
                more={"13": "5", "14": "", "15": "01.02.2020-MA", "16": "8", "1D": "A"},
            ),
            "language": "fr",
        },
        (),
    ),
    "foreigner F+, old number": (
        {"identity": Person(document_type="36", card_number="123456789"), "language": "de"},
        (),
    ),
    "EU": (
        {"identity": Person(document_type="31", nationality="Denemarken", more={"1F": "05.07.2022"})},
        (),
    ),
    "EU+": (
        {
            "identity": Person(document_type="32", more={"1F": "05.07.2022", "1B": "B"}),
            "generation": "1.7-ec",
        },
        (),
    ),
    "child of a foreigner": ({"identity": Person(document_type="61"), **CHILD}, ("no-auth-certificate",)),
    "a type to come": ({"identity": Person(document_type="99", more={"1C": "C"})}, ()),
    "no given names": ({"identity": Person(first_names="", third_initial="")}, ()),
    "1.7 Kids-ID": (
        {"identity": Person(document_type="6"), "generation": "1.7-rsa", **CHILD},
        ("no-auth-certificate",),
    ),
    "1.1 foreigner": (
        {"identity": Person(document_type="15"), "generation": "1.1", "language": "fr"},
        ("weak-signature",),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a01_every_kind_of_card_is_accepted_with_its_remark(bench: Bench, card: CardMaker, kind: str) -> None:
    wishes, flags = KINDS[kind]
    reading = bench.read_once(card(**wishes))
    assert (reading.verdict, reading.reasons) == (
        "weak" if wishes.get("generation") == "1.1" else "verified",
        (),
    )
    assert reading.flags == flags
    person: Person = wishes["identity"]
    identity = reading.identity
    assert identity is not None
    assert (identity.surname, identity.first_names) == (person.surname, person.first_names)
    assert identity.document_type == int(person.document_type)
    assert reading.card_number == person.card_number
    born = person.birth_date
    assert identity.birth_date == (int(born) if isinstance(born, str) else born)
    if person.nationality:
        assert identity.nationality == person.nationality


BAD = {
    "identity-tampered": "identity-signature",
    "identity-signature": "identity-signature",
    "address-tampered": "address-signature",
    "truncated-file": "tlv",
    "truncated-tlv": "tlv",
    "unknown-month": "birth-date",
    "bad-encoding": "encoding",
    "national-number": "encoding",
    "photo-hash": "photo-hash",
    "photo-missing": "photo-hash",
    "photo-format": "photo-format",
    "chip-number": "chip-number",
    "basic-key-hash": "basic-key-hash",
    "other-holder": "auth-cert-mismatch",
    "foreign-certificate": "auth-cert-mismatch",
    "rrn-garbage": "rrn-certificate",
    "rrn-usage": "rrn-certificate",
    "rrn-expired": "rrn-expired",
    "rrn-issued-by-citizen-ca": "rrn-chain",
    "self-made-root": "untrusted-root",
}
SOME = ("identity-tampered", "photo-missing", "truncated-file", "rrn-garbage")


@pytest.mark.parametrize("defect", BAD if LONG else SOME)
def test_a02_a_bad_card_is_rejected_with_its_reason_and_nothing_of_it_is_kept(
    bench: Bench, card: CardMaker, defect: str
) -> None:
    reading = bench.read_once(card(defects=(defect,)))
    assert reading.verdict == "rejected"
    assert BAD[defect] in reading.reasons
    assert (reading.identity, reading.address, reading.photo) == (None, None, None)
    assert (reading.card_number, reading.chip_number) == ("", "")
    assert reading.genuine != "proven"


@pytest.mark.parametrize("defect", ["self-made-root", "rrn-issued-by-citizen-ca", "rrn-expired"])
def test_a15_a_forger_is_told_from_an_old_card(bench: Bench, card: CardMaker, defect: str) -> None:
    assert bench.read_once(card(defects=(defect,))).reasons == (BAD[defect],)


def alike(reading: CardReading) -> CardReading:
    return replace(reading, apdus=0, ms=0)


@pytest.mark.parametrize("generation", ["1.8", "1.7-rsa", "1.7-ec", "1.1"])
@pytest.mark.parametrize(
    "fault",
    [
        {"do": "resolve-6c"},
        {"do": "cap-blocks", "most": 248},
        {"do": "cap-blocks", "most": 100},
        {"do": "refuse-blocks", "most": 248},
        {"do": "refuse-blocks", "most": 128},
        {"do": "choke-blocks", "most": 248},
    ],
    ids=lambda fault: f"{fault['do']} {fault.get('most', '')}".strip(),
)
def test_a03_a_readers_ways_change_nothing_of_what_is_read(
    bench: Bench, card: CardMaker, generation: str, fault: dict[str, Any]
) -> None:
    if generation != "1.8" and not LONG and fault["do"] != "resolve-6c":
        pytest.skip("one generation is enough for every day")
    folder = card(generation=generation)
    plain = bench.read_once(folder)
    bench.forget()
    odd = bench.read_once(folder, fault)
    bench.forget()
    assert alike(odd) == alike(plain)
    assert plain.photo is not None


def test_a03_a_reader_that_cannot_do_large_blocks_is_remembered(bench: Bench, card: CardMaker) -> None:
    with bench.holding(card(), {"do": "refuse-blocks", "most": 128}):
        first, second = bench.read(), bench.read()
        log = bench.virtual.log()
    bench.forget()
    assert alike(first) == alike(second)
    assert second.apdus < first.apdus
    refused = [at for at, (_, _, status) in enumerate(log) if status == b"\x67\x00"]
    assert len(refused) == 2  # 252, then 248; 128 works, and is where the second read begins
    assert refused[-1] < first.apdus


EVERY_DAY = (1, 248, 252, 256, 3072)
ALL = (1, *range(247, 258), 504, 2520, 3024, 3060, 3072, 8192, 15_000)


@pytest.mark.parametrize("length", ALL if LONG else EVERY_DAY)
def test_a04_what_is_no_jpeg_is_read_exactly_and_then_refused_for_its_format(
    bench: Bench, card: CardMaker, length: int
) -> None:
    """The hash over the photo fits, so every byte was read and no other; only the format is wrong."""
    folder = card(photo=Picture(length=length), defects=("photo-format",))
    assert (folder / "DF014035.bin").stat().st_size == length
    assert bench.read_once(folder).reasons == ("photo-format",)
