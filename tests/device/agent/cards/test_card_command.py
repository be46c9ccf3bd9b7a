"""`thuisloket-kit officer card`: a card enrolled and taken away from the command line."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.device.agent.cards.counting import entries_of
from tests.device.agent.kit import OFFICER, PIN, Kit
from tests.device.drivers.eid.conftest import CardMaker
from tests.device.drivers.eid.reader import SLOT_NAMES, VirtualReader

pytestmark = pytest.mark.system


def test_an_officers_card_is_enrolled_and_removed_from_the_command_line(
    kit: Kit, trust_folder: Path, virtual: VirtualReader, card: CardMaker
) -> None:
    config = kit.write_config(8740)
    told = config.read_text().replace("no such reader", SLOT_NAMES[0])
    config.write_text(told.replace("trust/cards", str(trust_folder)))

    def call(stdin: str, *more: str) -> tuple[int, str, str]:
        line = ["officer", "card", "--config", str(config), "--id", OFFICER, "--pin-stdin", "--json", *more]
        program = [sys.executable, "-m", "device", *line]
        ran = subprocess.run(program, input=stdin, capture_output=True, text=True, timeout=90, check=False)
        return ran.returncode, json.loads(ran.stdout)["outcome"] if ran.stdout else "", ran.stderr

    virtual.insert(card(), 0, ())
    try:
        assert call("000111\n1234\n")[0] == 1
        assert entries_of(virtual) == 0  # the kit's PIN was wrong: the card was asked nothing
        assert call(f"{PIN}\n9999\n")[:2] == (3, "wrong-pin")
        assert call(f"{PIN}\n1234\n")[:2] == (0, "proven")
        assert call(f"{PIN}\n", "--remove")[:2] == (0, "removed")
    finally:
        virtual.remove(0)
        time.sleep(0.6)
