"""One entry of the holder's PIN is one VERIFY at the card, though somebody taps twice or kills the agent."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from protocol.bag import BagVisit
from provisioning.demo.kiosk import Kiosk, KioskRefused, State
from tests.catalogue import POSSESSION, SERVICE, text
from tests.device.agent.cards.counting import entries_of
from tests.device.agent.kit import OFFICER, PIN, Kit
from tests.device.agent.test_crash import free_port
from tests.device.drivers.eid.conftest import LONG, CardMaker
from tests.device.drivers.eid.reader import SLOT_NAMES, VirtualReader

pytestmark = pytest.mark.system
WRONG = "830174659202"
DELAYS = (0.0, 0.05, 0.15, 0.5) if LONG else (0.15,)  # between the entry and the kill, in seconds


@pytest.fixture
def visit(kit: Kit) -> BagVisit:
    visit = kit.visit(number="")
    kit.bring_bag(visit)
    return visit


@pytest.fixture
def config(kit: Kit, trust_folder: Path) -> Path:
    """kit.toml of a kit with the real reader, at a service that asks for the PIN."""
    path = kit.write_config(free_port())
    own = kit.folder / "catalogue"
    own.mkdir()
    step = text().replace('"inform", "procedure"', '"inform", "possession", "procedure"')
    (own / f"{SERVICE}.toml").write_text(step + POSSESSION)
    told = path.read_text().replace("no such reader", SLOT_NAMES[0]).replace("trust/cards", str(trust_folder))
    path.write_text(f'catalogue = "catalogue"\n{told}')
    return path


@pytest.fixture
def reader(virtual: VirtualReader, card: CardMaker) -> Iterator[VirtualReader]:
    virtual.insert(card(), 0, (), paced=True)
    yield virtual
    virtual.remove(0)
    time.sleep(0.6)


@contextmanager
def agent(config: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Kiosk]]:
    port = int(config.read_text().split("port = ")[1].split()[0])
    program = [sys.executable, "-m", "device", "run", "--config", str(config)]
    with (config.parent / "log").open("ab") as log, subprocess.Popen(program, stderr=log) as running:
        kiosk = Kiosk(port)
        try:
            yield running, kiosk
        finally:
            kiosk.close()
            running.kill()


def idle(kiosk: Kiosk) -> State:
    return kiosk.wait(lambda state: state["busy"] is None, 40)


def to_the_pin(kiosk: Kiosk, visit: BagVisit) -> dict[str, Any]:
    """Unlock, go to the step from wherever the visit is, ask the card; what it says of its PIN."""
    kiosk.state()
    kiosk.post("/unlock", officer=OFFICER, pin=PIN)
    kiosk.wait(lambda state: bool(state.get("visits")), 20)
    kiosk.post(f"/visits/{visit.visit_id}/open")
    if idle(kiosk)["step"] == "card":
        kiosk.post("/step/card/read")
        assert idle(kiosk)["failure"] is None
        kiosk.post("/step/inform")
    kiosk.post("/step/possession/ask")
    state = idle(kiosk)
    assert state["failure"] is None
    pin: dict[str, Any] = state["pin"]
    return pin


def enter(kiosk: Kiosk, entry: str) -> str:
    """What became of the form."""
    try:
        kiosk.post("/step/possession/enter", pin=WRONG, entry=entry)
    except KioskRefused as refused:
        return refused.code
    return "done"


def test_two_taps_and_the_back_button_are_one_try(
    config: Path, visit: BagVisit, reader: VirtualReader
) -> None:
    with agent(config) as (_, kiosk):
        pin = to_the_pin(kiosk, visit)
        assert (pin["tries_left"], pin["certificate"]) == (3, "valid")
        with ThreadPoolExecutor(4) as taps:
            told = list(taps.map(lambda tap: enter(kiosk, pin["entry"]), range(4)))
        assert sorted(told) == ["done", "not-now", "not-now", "not-now"]
        after = idle(kiosk)["pin"]
        assert (after["tries_left"], after["said"]) == (2, "wrong-pin")
        assert enter(kiosk, pin["entry"]) == "not-now"  # back, and once more the old page
        assert entries_of(reader) == 1
    held = [path for path in config.parent.rglob("*") if path.is_file()]
    assert not [path.name for path in held if WRONG.encode() in path.read_bytes()]


@pytest.mark.parametrize("delay", DELAYS)
def test_an_agent_killed_behind_an_entry_never_makes_another(
    config: Path, visit: BagVisit, reader: VirtualReader, delay: float
) -> None:
    with agent(config) as (running, kiosk):
        pin = to_the_pin(kiosk, visit)
        assert enter(kiosk, pin["entry"]) == "done"
        time.sleep(delay)
        running.kill()
        running.wait(10)
    sent = entries_of(reader)
    assert sent <= 1
    with agent(config) as (_, kiosk):
        asked = to_the_pin(kiosk, visit)
        assert enter(kiosk, pin["entry"]) == "not-now"
        assert asked["tries_left"] == 3 - entries_of(reader)
        assert entries_of(reader) == sent
