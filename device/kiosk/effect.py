"""What an exception for fingers would mean for the card, said before it is made. Pure."""

from dataclasses import dataclass
from typing import Literal

from device.agent.events import Lasting
from device.agent.snapshot import FingerView, VisitView
from device.ports import LADDER, Finger
from protocol.catalogue.schema import FingerReason, FingerRules

Card = Literal["next", "hand", "twelve", "long"]


@dataclass(frozen=True)
class Effect:
    """`next`: another finger is asked. `hand`: no print of this hand. `twelve`, `long`: a card without any.

    `unless`: it would be twelve months after all if another finger is only impossible for now.
    """

    card: Card
    finger: Finger | None = None
    unless: bool = False


def reasons(rules: FingerRules, lasting: Lasting) -> tuple[FingerReason, ...]:
    """The reasons that are lawful for now, or for good."""
    return (rules.temporary if lasting == "temporary" else rules.permanent).reasons


def of(visit: VisitView, hand: FingerView, fingers: tuple[Finger, ...], lasting: Lasting) -> Effect:
    """If `fingers` of `hand` were excepted as well."""
    out = {*hand.excepted, *fingers}
    left = next((finger for finger in LADDER if finger not in out), None)
    if left is not None:
        return Effect("next", left)
    others = [each for each in visit.hands if each.hand != hand.hand]
    if any(each.kept is not None or each.wanted is not None for each in others):
        return Effect("hand")
    if lasting == "temporary":
        return Effect("twelve")
    return Effect("long", unless=True)
