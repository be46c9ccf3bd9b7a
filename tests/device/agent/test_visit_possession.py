"""The step in which the holder gives the PIN: its place, its proof, its lawful exceptions."""

import msgspec
import pytest

from device.agent.deciding import NO_CERTIFICATE, decide
from device.agent.events import ExceptPossession, ProvePossession, Redo, WaiveCard, Wish
from device.agent.visit import NEW, Visit, evolve, next_step, records
from device.errors import Code, Refused
from tests.catalogue import POSSESSION, with_possession
from tests.device.agent.wishes import CARD, INFORM, NORMAL, OPEN, digest

SERVICE = with_possession().service
PROVEN = ProvePossession("proof-1", digest("proof-1"), True, True, same_holder=True)
KIDS = msgspec.structs.replace(CARD, flags=(NO_CERTIFICATE,))
EXPIRED = msgspec.structs.replace(PROVEN, certificate_valid=False)


def after(*wishes: Wish, visit: Visit = NEW) -> Visit:
    for wish in wishes:
        for event in decide(visit, wish, SERVICE):
            visit = evolve(visit, event)
    return visit


def refusal(visit: Visit, wish: Wish) -> Code:
    with pytest.raises(Refused) as refused:
        decide(visit, wish, SERVICE)
    return refused.value.code


def test_the_pin_comes_after_the_explanation_and_its_proof_is_kept() -> None:
    informed = after(OPEN, CARD, INFORM)
    assert next_step(informed, SERVICE) == "possession"
    assert refusal(informed, NORMAL) is Code.NOT_NOW
    proven = after(PROVEN, visit=informed)
    assert next_step(proven, SERVICE) == "procedure"
    assert records(proven) == ("card-1", "proof-1")
    assert refusal(proven, PROVEN) is Code.NOT_NOW


def test_a_proof_falls_with_its_card_and_can_be_taken_back_by_itself() -> None:
    proven = after(OPEN, CARD, INFORM, PROVEN)
    for step in ("card", "possession"):
        assert records(after(Redo(step), visit=proven)) == (() if step == "card" else ("card-1",))
    again = after(Redo("card"), CARD, visit=proven)
    assert next_step(again, SERVICE) == "possession"


@pytest.mark.parametrize(
    ("card", "wish", "code"),
    [
        (CARD, msgspec.structs.replace(PROVEN, same_holder=False), Code.WRONG_PERSON),
        (CARD, EXPIRED, Code.NOT_NOW),
        (WaiveCard("loss", "annex12"), PROVEN, Code.NOT_NOW),
        (WaiveCard("loss", "annex12"), ExceptPossession("refuses"), Code.NOT_NOW),
        (CARD, ExceptPossession("no-card"), Code.NOT_NOW),
        (CARD, ExceptPossession("no-certificate"), Code.NOT_NOW),
        (CARD, ExceptPossession("in-a-hurry"), Code.NOT_NOW),
    ],
)
def test_what_is_no_proof_and_no_lawful_exception_is_refused(card: Wish, wish: Wish, code: Code) -> None:
    assert refusal(after(OPEN, card, INFORM), wish) is code


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        (WaiveCard("loss", "annex12"), "no-card"),
        (KIDS, "no-certificate"),
        (CARD, "certificate-expired"),
        (CARD, "pin-blocked"),
        (CARD, "pin-unknown"),
        (CARD, "refuses"),
    ],
)
def test_a_visit_goes_on_without_for_a_reason_that_the_entry_knows(card: Wish, reason: str) -> None:
    assert next_step(after(OPEN, card, INFORM, ExceptPossession(reason)), SERVICE) == "procedure"


def test_a_service_may_take_an_expired_certificate() -> None:
    service = with_possession(POSSESSION + "expired = true\n").service
    assert decide(after(OPEN, CARD, INFORM), EXPIRED, service)
