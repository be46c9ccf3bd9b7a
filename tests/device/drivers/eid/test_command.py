"""`read-card` as a program: one JSON object, and an exit code that says enough."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from device.emulators.eid.spec import Person
from tests.device.drivers.eid.conftest import Bench, CardMaker
from tests.device.drivers.eid.reader import SLOT_NAMES

pytestmark = pytest.mark.system


def read_card(bench: Bench, trust: Path, *more: str, **environment: str) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-m", "device.drivers.eid", "--trust", str(trust), "--json", *more],
        env={**bench.virtual.environment, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, json.loads(done.stdout), done.stderr


def test_a_verified_card_comes_out_in_the_words_of_the_contract(
    bench: Bench, card: CardMaker, trust_folder: Path
) -> None:
    folder = card(identity=Person(birth_date=1962, sex="M"))
    bench.virtual.insert(folder)
    try:
        code, answer, _ = read_card(bench, trust_folder, "--reader", SLOT_NAMES[0], "--wait", "5")
    finally:
        bench.virtual.remove()
    assert code == 0
    assert (answer["verdict"], answer["genuine"], answer["reasons"]) == ("verified", "proven", [])
    assert answer["flags"] == ["birth-date"]
    assert answer["identity"] == {
        "national_number": answer["identity"]["national_number"],
        "surname": "Specimen",
        "first_names": "Alice Testkaart",
        "third_initial": "A",
        "nationality": "BEL",
        "birth_place": "Brugge",
        "birth_date": "1962",
        "sex": "M",
        "noble_condition": "",
        "document_type": 1,
        "special_status": 0,
        "valid_from": "2022-07-05",
        "valid_to": "2032-07-05",
        "delivery_municipality": "Oostkamp",
        "duplicate": "00",
    }
    assert answer["address"] == {
        "street": "Teststraat 12 bus 3",
        "postcode": "8020",
        "municipality": "Oostkamp",
    }
    assert set(answer["photo"]) == {"sha256", "bytes", "width", "height"}
    assert answer["apdus"] > 20
    assert answer["ms"] > 0


def test_a_rejected_card_leaves_with_3_and_names_nobody(
    bench: Bench, card: CardMaker, trust_folder: Path
) -> None:
    with bench.holding(card(defects=("address-tampered",))):
        code, answer, said = read_card(bench, trust_folder)
    assert (code, answer["verdict"], answer["reasons"]) == (3, "rejected", ["address-signature"])
    assert not {"identity", "address", "photo"} & set(answer)
    assert "Specimen" not in json.dumps(answer) + said


def test_an_empty_reader_leaves_with_4(bench: Bench, trust_folder: Path) -> None:
    code, answer, said = read_card(bench, trust_folder)
    assert (code, answer["verdict"], answer["reasons"]) == (4, "no-card", ["no-card"])
    assert "remedy" in said


def test_no_pcscd_leaves_with_4(bench: Bench, trust_folder: Path, tmp_path: Path) -> None:
    code, answer, _ = read_card(bench, trust_folder, PCSCLITE_CSOCK_NAME=str(tmp_path / "none"))
    assert (code, answer["reasons"]) == (4, ["no-reader"])


def test_a_trust_folder_without_roots_is_no_trust(bench: Bench, tmp_path: Path) -> None:
    code, answer, _ = read_card(bench, tmp_path)
    assert (code, answer["reasons"]) == (1, ["bad-config"])


def test_a_mute_card_leaves_with_1_and_the_program_ends(
    bench: Bench, card: CardMaker, trust_folder: Path
) -> None:
    with bench.holding(card(), {"do": "mute", "at": 4}):
        code, answer, _ = read_card(bench, trust_folder)
    assert (code, answer["reasons"]) == (1, ["card-mute"])
