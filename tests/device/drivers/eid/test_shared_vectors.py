"""An extra where they are at hand: the 22 cards and three lists of the project's acceptance vectors."""

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from device.drivers.eid.dates import BadDate, birth_date
from device.drivers.eid.driver import open_reader
from device.drivers.eid.numbers import national_number_ok
from device.drivers.eid.settings import Settings
from device.drivers.eid.tlv import BadTlv, parse
from device.drivers.eid.trust import load_trust
from tests.device.drivers.eid.conftest import Bench
from tests.device.drivers.eid.reader import SLOT_NAMES

ROOT = Path(os.environ.get("THUISLOKET_VECTORS", "none")) / "eid"
pytestmark = pytest.mark.skipif(not ROOT.exists(), reason="THUISLOKET_VECTORS does not name the vectors")
CARDS: dict[str, Any] = json.loads((ROOT / "expected.json").read_text()) if ROOT.exists() else {}


def listed(name: str) -> Any:
    return json.loads((ROOT / name).read_text())


@pytest.fixture(scope="module")
def bench_of_vectors(session_bench: Bench) -> Any:
    driver = open_reader(Settings(reader=SLOT_NAMES[0]), load_trust(ROOT / "trust"))
    yield Bench(session_bench.virtual, driver)  # type: ignore[arg-type]
    driver.close()


@pytest.mark.system
@pytest.mark.parametrize("name", CARDS)
def test_a_shared_card_gets_its_verdict(bench_of_vectors: Bench, name: str) -> None:
    expected = CARDS[name]
    reading = bench_of_vectors.read_once(ROOT / "cards" / name)
    assert (reading.verdict == "verified") is (expected["verdict"] == "accept")
    assert set(expected["flags"]) <= {*reading.reasons, *reading.flags}
    assert reading.applet.replace(".", "") == expected["applet"]
    if expected["verdict"] == "reject":
        assert reading.identity is None
        return
    identity, address = reading.identity, reading.address
    assert identity is not None
    assert address is not None
    given = expected["identity"]
    assert [address.street, address.postcode, address.municipality] == expected["address"]
    for tag, value in {
        "05": identity.delivery_municipality,
        "06": identity.national_number,
        "07": identity.surname,
        "08": identity.first_names,
        "09": identity.third_initial,
        "0A": identity.nationality,
        "0B": identity.birth_place,
        "0E": identity.noble_condition,
        "0F": str(identity.document_type),
        "12": identity.duplicate,
        "01": reading.card_number,
        "02": reading.chip_number,
        "03": identity.valid_from.strftime("%d.%m.%Y"),
        "04": identity.valid_to.strftime("%d.%m.%Y"),
    }.items():
        assert value == given.get(tag, ""), tag
    assert identity.birth_date == birth_date(given["0C"])
    assert identity.sex == ("M" if given["0D"] == "M" else "F")


def test_the_shared_lists_come_out_as_said() -> None:
    for text, expected in listed("dates.json"):
        try:
            born = birth_date(text)
            said = born.isoformat() if isinstance(born, date) else str(born)
        except BadDate:
            said = None
        assert said == expected, text
    for number, fine in listed("nrn.json"):
        assert national_number_ok(number) is fine, number
    for data, fields in listed("tlv.json"):
        try:
            got = {str(tag): value.decode() for tag, value in parse(bytes.fromhex(data)).items()}
        except BadTlv:
            got = None
        assert got == fields, data
