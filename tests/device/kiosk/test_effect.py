"""What an exception for fingers would mean, said before it is made, is what the rules then make of it."""

from itertools import product

import pytest

from device.agent import events
from device.agent.events import Lasting
from device.agent.snapshot import FingerView, VisitView
from device.agent.visit import HANDS
from device.kiosk import effect
from device.ports import LADDER, Finger, Hand
from tests.device.kiosk.front import PIN, MemoryDesk
from tests.device.kiosk.today import ENTRY


def view(hands: tuple[FingerView, ...]) -> VisitView:
    return VisitView(
        *("v", "fingers", (), "", "nl", None, None, (), "", "", "normal", "photo"),
        hands,
        *("", "", "", "", "", "", ""),
        service=ENTRY.service,
    )


def hand(side: Hand, *, kept: Finger | None = None, excepted: tuple[Finger, ...] = ()) -> FingerView:
    wanted = None if kept else next((finger for finger in LADDER if finger not in excepted), None)
    return FingerView(side, wanted, kept, "record" if kept else "", excepted)


def test_with_another_finger_left_that_one_is_asked() -> None:
    right = hand("right", excepted=("index",))
    found = effect.of(view((right, hand("left"))), right, ("middle",), "temporary")
    assert found == effect.Effect("next", "ring")


@pytest.mark.parametrize(
    "other", [hand("left"), hand("left", kept="thumb"), hand("left", excepted=("index",))]
)
def test_with_the_other_hand_the_card_has_a_print(other: FingerView) -> None:
    right = hand("right")
    assert effect.of(view((right, other)), right, LADDER, "permanent").card == "hand"


def test_without_any_print_for_now_the_card_is_valid_twelve_months() -> None:
    right = hand("right", excepted=LADDER[:4])
    assert (
        effect.of(view((right, hand("left", excepted=LADDER))), right, ("thumb",), "temporary").card
        == "twelve"
    )


def test_without_any_print_ever_the_card_is_valid_as_long_unless() -> None:
    right = hand("right")
    found = effect.of(view((right, hand("left", excepted=LADDER))), right, LADDER, "permanent")
    assert found == effect.Effect("long", unless=True)


@pytest.mark.parametrize(("first", "second"), list(product(("temporary", "permanent"), repeat=2)))
def test_what_is_said_is_what_the_rules_make_of_it(first: Lasting, second: Lasting) -> None:
    desk = MemoryDesk()
    said = _without_prints(desk, first, second)
    visit = desk.now().visit
    assert visit is not None
    validity = visit.validity_note
    if said.card == "twelve":
        assert validity == "twelve-months"
    elif first == "permanent":
        assert validity == ""
    else:
        assert said.unless


def _without_prints(desk: MemoryDesk, first: Lasting, second: Lasting) -> effect.Effect:
    """Except every finger of one hand after the other; what was said before the last."""
    desk.unlock("an.peeters", PIN)
    desk.choose(desk.first)
    desk.wish(events.WaiveCard("loss", "annex12"))
    desk.wish(events.Inform(ENTRY.service.inform.notice, "nl", False))
    desk.wish(events.ChooseProcedure("normal"))
    desk.start("photo")
    desk.finish()
    said = effect.Effect("hand")
    for side, lasting in zip(HANDS, (first, second), strict=True):
        visit = desk.now().visit
        assert visit is not None
        this = next(each for each in visit.hands if each.hand == side)
        said = effect.of(visit, this, LADDER, lasting)
        desk.wish(events.ExceptFingers(side, LADDER, "tremor", lasting, False))
    return said
