"""The holder's PIN at the desk: one entry is one VERIFY, what it proves is sealed, the PIN is not kept."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from device.agent.events import ExceptPossession, Redo
from device.agent.holder import Entered, of_number, proving
from device.errors import Code, KitError, Refused, Remedy
from device.ports import Capture, HolderProof, PinState
from protocol.bag import BagVisit
from protocol.possession import PART, purpose
from tests.catalogue import SERVICE, with_possession
from tests.device.agent.kit import Desktop, Kit
from tests.device.agent.peripherals import NUMBER, PROOF

PIN = "2468"
ENTRY = with_possession()


@pytest.fixture
def visit(kit: Kit) -> BagVisit:
    visit = kit.visit()
    kit.bring_bag(visit)
    return visit


@pytest.fixture
def top(kit: Kit, visit: BagVisit) -> Iterator[Desktop]:
    with Desktop(kit, catalogue={SERVICE: ENTRY}) as top:
        top.begin(visit)
        for step in top.steps()[:2]:
            step()
        yield top


def ask(top: Desktop) -> str:
    """Ask the card for the state of its PIN; the entry that may be made now."""
    seen = top.capture("pin-state").visit
    assert seen is not None
    assert seen.pin is not None
    return seen.pin.entry


def enter(top: Desktop, entry: str, last_try: bool = False, pin: str = PIN) -> None:
    buffer = bytearray(pin.encode())
    try:
        top.desk.enter_pin(entry, buffer, last_try)
        top.idle()
    finally:
        assert not any(buffer), "the PIN is still in its buffer"


def test_a_visit_with_the_step_is_sealed_with_evidence_for_this_visit_alone(
    kit: Kit, visit: BagVisit, top: Desktop
) -> None:
    assert top.desk.now().visit
    enter(top, ask(top))
    for step in top.steps()[2:]:
        step()
    seen = top.until(lambda now: now.visit and now.visit.sealed).visit
    assert seen is not None
    assert seen.possession == "proven"
    opened = kit.service.open(top.packet(seen.packet_id))
    parts = {part.name: part.data for part in opened.parts}
    said = purpose(visit.visit_id, SERVICE, visit.tenant)
    evidence = json.loads(parts[PART])
    assert evidence["scheme"] == PROOF.scheme
    assert json.loads(parts["application.json"])["possession"] == {
        "state": "proven",
        "certificate_valid": True,
    }
    assert opened.outer.manifest.catalogue == ENTRY.digest
    assert base64.b64decode(evidence["message"]) == said + bytes(32)
    assert top.bench.card.entries == [(PIN.encode(), False)]


def test_an_entry_is_used_up_by_being_given(top: Desktop) -> None:
    """A second tap, the back button, a form sent again: there is nothing left to give."""
    top.bench.card.script.extend([PinState(3, certificate="valid"), HolderProof("wrong-pin", tries_left=2)])
    entry = ask(top)
    enter(top, entry)
    for again in (entry, "", "x" * 22):
        with pytest.raises(Refused):
            enter(top, again)
    seen = top.desk.now().visit
    assert seen is not None
    assert seen.pin is not None
    assert (seen.pin.said, seen.pin.tries_left) == ("wrong-pin", 2)
    assert len(top.bench.card.entries) == 1
    enter(top, seen.pin.entry)
    assert len(top.bench.card.entries) == 2
    after = top.desk.now().visit
    assert after is not None
    assert after.step == "procedure"


def test_two_taps_at_once_are_one_entry(top: Desktop) -> None:
    entry = ask(top)
    outcomes: list[str] = []
    start = threading.Barrier(4)

    def tap() -> None:
        start.wait()
        try:
            enter(top, entry)
            outcomes.append("done")
        except Refused:
            outcomes.append("refused")

    taps = [threading.Thread(target=tap) for _ in range(4)]
    for each in taps:
        each.start()
    for each in taps:
        each.join()
    assert sorted(outcomes) == ["done", "refused", "refused", "refused"]
    assert len(top.bench.card.entries) == 1


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (PinState(0, certificate="valid"), "blocked"),
        (PinState(3, certificate="absent"), "Kids-ID"),
        (PinState(3, certificate="expired"), "expired"),
        (PinState(3, certificate="untrusted"), "untrusted"),
    ],
)
def test_a_pin_that_leads_nowhere_is_not_taken(top: Desktop, state: PinState, why: str) -> None:
    top.bench.card.script.append(state)
    with pytest.raises(Refused):
        enter(top, ask(top))
    assert top.bench.card.entries == []
    if why != "Kids-ID":
        top.desk.wish(ExceptPossession("pin-unknown"))
        seen = top.desk.now().visit
        assert seen is not None
        assert (seen.step, seen.possession) == ("procedure", "pin-unknown")


@pytest.mark.parametrize(
    ("proof", "left", "said"),
    [
        (HolderProof("pin-blocked", tries_left=0), 0, "pin-blocked"),
        (HolderProof("last-try", tries_left=1), 1, "last-try"),
        (replace(PROOF, outcome="failed", tries_left=None), None, "failed"),
    ],
)
def test_what_the_card_said_is_shown(top: Desktop, proof: HolderProof, left: int | None, said: str) -> None:
    top.bench.card.script.extend([PinState(3, certificate="valid"), proof])
    enter(top, ask(top))
    seen = top.desk.now().visit
    assert seen is not None
    assert seen.pin is not None
    assert (seen.pin.tries_left, seen.pin.said, seen.possession) == (left, said, "")


def test_the_last_try_goes_to_the_card_only_with_the_holders_yes(top: Desktop) -> None:
    top.bench.card.script.append(PinState(1, certificate="valid"))
    enter(top, ask(top), last_try=True)
    assert top.bench.card.entries == [(PIN.encode(), True)]


def test_the_card_of_another_is_given_no_pin(top: Desktop) -> None:
    other = replace(PROOF, national_number="45073012385")
    top.bench.card.script.extend([PinState(3, certificate="valid"), other])
    enter(top, ask(top))
    now = top.desk.now()
    assert now.failure is not None
    assert now.visit is not None
    assert (now.failure.code, now.visit.pin, now.visit.step) == (Code.WRONG_PERSON, None, "possession")


def test_after_a_disturbance_the_card_is_asked_anew(top: Desktop) -> None:
    pulled = KitError(Code.CARD_REMOVED, Remedy.RETRY)
    top.bench.card.script.extend([PinState(3, certificate="valid"), pulled])
    entry = ask(top)
    enter(top, entry)
    now = top.desk.now()
    assert now.failure is not None
    assert now.visit is not None
    assert (now.failure.code, now.visit.pin) == (Code.CARD_REMOVED, None)
    with pytest.raises(Refused):
        enter(top, entry)


def test_a_pin_that_has_not_reached_the_driver_is_wiped_and_never_does(top: Desktop) -> None:
    reader = top.bench.card
    buffer = bytearray(PIN.encode())
    entered = Entered(buffer)
    cancelled = Capture(1.0, lambda share, code: None, threading.Event())
    cancelled.cancel.set()
    with pytest.raises(KitError):
        proving(entered, b"", False, of_number(NUMBER))(reader, cancelled)
    entered.drop()
    assert not any(buffer)
    with pytest.raises(KitError):
        proving(entered, b"", False, of_number(NUMBER))(reader, replace(cancelled, cancel=threading.Event()))
    assert reader.entries == []


@pytest.mark.parametrize("how", ["lock", "leave", "cancel"])
def test_stopping_while_the_card_has_the_pin_proves_nothing(top: Desktop, how: str) -> None:
    top.bench.card.script.extend([PinState(3, certificate="valid"), "wait"])
    buffer = bytearray(PIN.encode())
    top.desk.enter_pin(ask(top), buffer, False)
    assert top.bench.card.began.wait(30)
    getattr(top.desk, how)()
    top.idle()
    assert not any(buffer)
    assert len(top.bench.card.entries) == 1


def test_the_pin_and_the_proof_are_forgotten_with_the_step(top: Desktop) -> None:
    enter(top, ask(top))
    for step in ("possession", "card"):
        seen = top.desk.now().visit
        assert seen is not None
        top.desk.wish(Redo(step))  # type: ignore[arg-type]
        seen = top.desk.now().visit
        assert seen is not None
        assert (seen.step, seen.possession, seen.pin) == (step, "", None)


def test_no_pin_is_asked_for_in_another_step_or_by_a_service_without_it(kit: Kit, visit: BagVisit) -> None:
    with Desktop(kit) as top:
        top.until_step(visit, "procedure")
        with pytest.raises(Refused):
            top.desk.start("pin-state")
        with pytest.raises(Refused):
            enter(top, "")
        top.desk.lock()
        with pytest.raises(Refused):
            enter(top, "")


def test_neither_disk_nor_snapshot_has_the_pin(kit: Kit, top: Desktop) -> None:
    top.bench.card.script.extend([PinState(3, certificate="valid"), HolderProof("wrong-pin", tries_left=2)])
    long = "830174659202"
    entry = ask(top)
    enter(top, entry, pin=long)
    assert top.bench.card.entries[-1][0] == long.encode()
    enter(top, ask(top), pin=long)
    assert long not in repr(top.desk.now())
    assert entry not in repr(top.desk.now())
    for path in kit.data.rglob("*"):
        if path.is_file():
            assert long.encode() not in path.read_bytes(), path.name
