"""Nothing of a person or a PIN is left on disk or logged (A19); nothing is asked that need not be (A12)."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from device.emulators.eid.spec import Home, Person
from device.errors import KitError
from device.ports import CardReading
from tests.device.drivers.eid.conftest import Bench, CardMaker, patience
from tests.device.drivers.eid.reader import SLOT_NAMES
from tests.device.drivers.eid.recorded import recorded

pytestmark = pytest.mark.system
PERSON = Person(surname="Kanarievogel", first_names="Zilverbeek Adelheid", national_number="71715100070")
HOME = Home(street="Nergensdreef 4711", municipality="Fabeldorp")
PIN = "84632917"
FORBIDDEN = ("Kanarievogel", "Zilverbeek", "71715100070", "Nergensdreef", "Fabeldorp", PIN)
CHANGING = {0x24, 0x2C, 0xD6, 0xD0, 0xDC, 0xE2}  # CHANGE PIN, RESET COUNTER, updates and writes


def found_in(data: bytes, folder: Path) -> list[str]:
    photo = (folder / "DF014035.bin").read_bytes()
    block = bytes.fromhex(f"28{PIN}")
    found = [word for word in FORBIDDEN if word.encode() in data]
    return found + ["photo"] * (photo[200:264] in data) + ["PIN block"] * (block in data)


def on_disk(*roots: Path) -> bytes:
    return b"".join(path.read_bytes() for root in roots for path in root.rglob("*") if path.is_file())


def test_a19_reads_and_entries_leave_nothing_on_disk_and_nothing_in_the_log(
    bench: Bench, card: CardMaker, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    folder = card(identity=PERSON, address=HOME, pin=PIN)
    said: list[str] = []

    def note(result: object) -> None:
        said.append(repr(result))

    with bench.holding(folder):
        reading = bench.read(lambda share, code: said.append(code))
        note(bench.driver.condition())
        note(bench.driver.prove(bytearray(PIN.encode()), patience()))
        note(bench.driver.prove(bytearray(b"0000"), patience()))
    for fault in (
        {"do": "pull", "at": 20},
        {"do": "status", "at": 24, "status": "6581"},
        {"do": "stub", "at": 9},
    ):
        with bench.holding(folder, fault), pytest.raises(KitError) as caught:
            bench.read()
        said.append(f"{caught.value} {caught.value.detail} {caught.value.__cause__!r}")
    note(reading)
    out, err = capfd.readouterr()
    heard = "\n".join([caplog.text, out, err, *said]).encode()
    assert found_in(heard, folder) == []
    assert found_in(on_disk(tmp_path, bench.virtual.control.parent), folder) == []
    assert isinstance(reading, CardReading)
    assert reading.identity is not None
    assert reading.identity.surname == "Kanarievogel"  # it was there to be leaked


def test_a19_the_program_writes_what_it_read_to_its_answer_and_nowhere_else(
    bench: Bench, card: CardMaker, trust_folder: Path, tmp_path: Path
) -> None:
    folder = card(identity=PERSON, address=HOME)
    with bench.holding(folder):
        done = subprocess.run(
            [*(sys.executable, "-m", "device.drivers.eid", "--trust", str(trust_folder)),
             *("--reader", SLOT_NAMES[0], "--json")],
            env={**bench.virtual.environment, "TMPDIR": str(tmp_path), "HOME": str(tmp_path)},
            cwd=tmp_path, capture_output=True, timeout=30, check=True,
        )  # fmt: skip
    assert json.loads(done.stdout)["identity"]["surname"] == "Kanarievogel"
    assert found_in(done.stderr + on_disk(tmp_path, bench.virtual.control.parent), folder) == []


@pytest.mark.parametrize("generation", ["1.8", "1.7-rsa", "1.1"])
def test_a12_a_read_asks_for_no_pin_changes_nothing_and_keeps_to_transactions(
    bench: Bench, card: CardMaker, generation: str
) -> None:
    with bench.holding(card(generation=generation)), recorded() as line:
        bench.read()
    asked = {command[1] for command in line.commands}
    assert asked <= {0xA4, 0xB0, 0xC0, 0xE4, 0x88}
    assert not asked & CHANGING
    assert line.outside == []
    assert line.resets == 0
    assert all(len(command) == 5 or len(command) == 5 + command[4] for command in line.commands)
