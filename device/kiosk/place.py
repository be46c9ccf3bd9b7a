"""Which screen belongs to a snapshot. Pure: the screens, the follow script and programs all read it here."""

from dataclasses import dataclass
from typing import Literal

from device.agent.deciding import NO_CERTIFICATE
from device.agent.events import Step
from device.agent.holder import may_enter
from device.agent.signin import RULES
from device.agent.snapshot import Busy, Gate, Snapshot, VisitView
from device.errors import Code
from protocol.catalogue.schema import PossessionReason

Screen = Literal[
    "unlock",
    "visits",
    "card",
    "inform",
    "possession",
    "procedure",
    "photo",
    "fingers",
    "signature",
    "review",
    "seal",
    "state",
    "busy",
    "failure",
    "courier",
]


@dataclass(frozen=True)
class Place:
    """A screen. `part` is "who" or "kept" while the officer still has to look at what was just taken; "pin"
    when the holder may give it, "not" when that would lead nowhere."""

    screen: Screen
    part: Literal["", "who", "kept", "ink", "pin", "not", "card", "key"] = ""

    @property
    def name(self) -> str:
        """Of the template, and for the follow script: another name is another screen."""
        return f"{self.screen}-{self.part}" if self.part else self.screen


CITIZENS = frozenset({"inform", "possession-pin", "review"})  # places in the citizen's language


def place_of(snapshot: Snapshot, holder: bool, seen: frozenset[str]) -> Place:
    """The screen of a browser that holds the kit or not, whose officer has looked at `seen`."""
    if not holder or snapshot.officer is None:
        return Place("unlock", "card" if _asks_for_card(snapshot.gate) else "")
    if snapshot.busy is not None:
        return _busy(snapshot.busy)
    if snapshot.failure is not None and snapshot.failure.code != Code.CANCELLED:
        return Place("failure")
    if snapshot.visit is None:
        return Place("courier" if snapshot.courier else "visits")
    return _visit(snapshot.visit, seen)


def _busy(busy: Busy) -> Place:
    return Place("busy", "ink" if busy.what == "signature" else "")


def _visit(visit: VisitView, seen: frozenset[str]) -> Place:
    if visit.step is None:
        return Place("state")
    if visit.step == after_card(visit) and visit.identity is not None and card_mark(visit) not in seen:
        return Place("inform", "who")
    if visit.step == "seal" and visit.key is not None:
        return Place("seal", "key")
    if visit.step == "possession":
        return _possession(visit)
    untouched = not any(hand.kept or hand.excepted for hand in visit.hands)
    if visit.step == "fingers" and untouched and visit.photo_record and photo_mark(visit) not in seen:
        return Place("fingers", "kept")
    return Place(visit.step)


def _asks_for_card(gate: Gate) -> bool:
    return gate.card is not None and not gate.card.proven


def may_enter_officer(gate: Gate) -> bool:
    """Whether the PIN of the officer's own card may be given now."""
    card = gate.card
    return card is not None and card.pin is not None and not card.problem and may_enter(card.pin, RULES)


def _possession(visit: VisitView) -> Place:
    if visit.card_waived or NO_CERTIFICATE in visit.card_flags:
        return Place("possession", "not")
    if visit.pin is None:
        return Place("possession")
    return Place("possession", "pin" if may_enter(visit.pin, visit.service.possession) else "not")


def after_card(visit: VisitView) -> Step:
    """The step that begins once the officer has looked at who is on the card."""
    return visit.service.steps[1]


def card_mark(visit: VisitView) -> str:
    """What `seen` holds once the officer has looked at who is on the card."""
    return f"card {visit.visit_id}"


def photo_mark(visit: VisitView) -> str:
    """What `seen` holds once the officer has kept this photo."""
    return f"photo {visit.photo_record}"


def may_go_without(visit: VisitView) -> tuple[PossessionReason, ...]:
    """Why this visit may lawfully go on without the step."""
    allowed = visit.service.possession.exceptions
    if visit.card_waived:
        return tuple(reason for reason in allowed if reason == "no-card")
    without = NO_CERTIFICATE in visit.card_flags
    fitting: dict[PossessionReason, bool] = {"no-card": False, "no-certificate": without}
    return tuple(reason for reason in allowed if fitting.get(reason, True))
