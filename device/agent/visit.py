"""What a visit is: the facts of it that still hold, its stage, and how one more fact changes it.

A visit goes through the steps of its catalogue entry, in their order. Its *stage* is the first step that is
not done; before it is opened the stage is "new", and after the steps come "sealed", "uploaded" and
"answered", or "abandoned" from any step, and from anywhere when its time is up. Restart is `fold` over the
journal. Which wish fits which stage, and which facts follow from it, stands in `deciding.py`. Neither does
I/O or knows the time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Literal

from device.agent.events import (
    Abandoned,
    Answered,
    CardKept,
    CardWaived,
    Event,
    Expired,
    FingerKept,
    FingersExcepted,
    Informed,
    Opened,
    PhotoKept,
    PossessionExcepted,
    PossessionProven,
    ProcedureChosen,
    Redone,
    Reviewed,
    Sealed,
    SignatureExcepted,
    SignatureKept,
    Step,
    Uploaded,
)
from device.ports import Finger, Hand
from protocol.catalogue.schema import Service

HANDS: tuple[Hand, ...] = ("right", "left")

_WITH_RECORD = (CardKept, PossessionProven, PhotoKept, FingerKept, SignatureKept)

Stage = Literal[
    "new",
    "card",
    "inform",
    "possession",
    "procedure",
    "photo",
    "fingers",
    "signature",
    "review",
    "seal",
    "sealed",
    "uploaded",
    "answered",
    "abandoned",
]


@dataclass(frozen=True)
class HandState:
    """What one hand has given: at most one print, and the fingers that cannot give one."""

    kept: FingerKept | None = None
    exceptions: tuple[FingersExcepted, ...] = ()

    @property
    def excepted(self) -> frozenset[Finger]:
        return frozenset(finger for each in self.exceptions for finger in each.fingers)


@dataclass(frozen=True)
class Visit:
    """All facts of one visit that still hold. The empty visit is the one that is not opened yet."""

    opened: Opened | None = None
    card: CardKept | CardWaived | None = None
    informed: Informed | None = None
    possession: PossessionProven | PossessionExcepted | None = None
    procedure: ProcedureChosen | None = None
    photo: PhotoKept | None = None
    hands: Mapping[Hand, HandState] = field(default_factory=lambda: dict.fromkeys(HANDS, HandState()))
    signature: SignatureKept | SignatureExcepted | None = None
    reviewed: Reviewed | None = None
    sealed: Sealed | None = None
    uploaded: Uploaded | None = None
    answered: Answered | None = None
    abandoned: Abandoned | None = None
    expired: Expired | None = None


NEW = Visit()


def stage(visit: Visit, service: Service) -> Stage:
    if visit.opened is None:
        return "new"
    if visit.abandoned is not None or visit.expired is not None:
        return "abandoned"
    if visit.answered is not None:
        return "answered"
    if visit.uploaded is not None:
        return "uploaded"
    if visit.sealed is not None:
        return "sealed"
    # sealing is the last step of every entry and is not done here, so there is always a first that is not
    return next(step for step in service.steps if not is_done(visit, step, service))


def next_step(visit: Visit, service: Service) -> Step | None:
    """The first step that is not done; None before it is opened, and once it is sealed or abandoned."""
    where = stage(visit, service)
    return next((step for step in service.steps if step == where), None)


def is_done(visit: Visit, step: Step, service: Service) -> bool:
    """Whether the step has its result or its lawful exception."""
    if step == "fingers":
        return all(wanted_finger(visit, hand, service) is None for hand in HANDS)
    return _slot(visit, step) is not None


def is_begun(visit: Visit, step: Step) -> bool:
    """Whether the step has anything that can be taken back."""
    if step == "fingers":
        return any(state != HandState() for state in visit.hands.values())
    return _slot(visit, step) is not None


def wanted_finger(visit: Visit, hand: Hand, service: Service) -> Finger | None:
    """The finger the ladder wants of this hand now; None when it has given one, or has none that can."""
    state = visit.hands[hand]
    if state.kept is not None:
        return None
    return next((finger for finger in service.fingers.ladder if finger not in state.excepted), None)


def validity_months(visit: Visit, service: Service) -> int:
    """How long a card made of this visit is valid, in months, when that is not as always (0).

    Only a card without any print is affected: with a finger that can give one later it is a temporary card.
    """
    hands = visit.hands.values()
    if any(state.kept for state in hands) or not is_done(visit, "fingers", service):
        return 0
    lasting = {each.lasting for state in hands for each in state.exceptions}
    rule = service.fingers.temporary if "temporary" in lasting else service.fingers.permanent
    return rule.validity_months


def named(visit: Visit) -> dict[str, str]:
    """The vault records the facts name, in the order of the steps, and the digest of each."""
    fingers = (state.kept for state in visit.hands.values())
    facts = (visit.card, visit.possession, visit.photo, *fingers, visit.signature)
    return {fact.record: fact.digest for fact in facts if isinstance(fact, _WITH_RECORD)}


def records(visit: Visit) -> tuple[str, ...]:
    """The vault records the facts name, in the order of the steps."""
    return tuple(named(visit))


def fold(events: Iterable[Event]) -> Visit:
    return reduce(evolve, events, NEW)


# --- evolve: what a fact makes of a visit ---

_FIELD: Mapping[type[Event], str] = {
    Opened: "opened",
    CardKept: "card",
    CardWaived: "card",
    Informed: "informed",
    PossessionProven: "possession",
    PossessionExcepted: "possession",
    ProcedureChosen: "procedure",
    PhotoKept: "photo",
    SignatureKept: "signature",
    SignatureExcepted: "signature",
    Reviewed: "reviewed",
    Sealed: "sealed",
    Uploaded: "uploaded",
    Answered: "answered",
    Abandoned: "abandoned",
    Expired: "expired",
}

_SLOT: Mapping[Step, str] = {
    "card": "card",
    "inform": "informed",
    "possession": "possession",
    "procedure": "procedure",
    "photo": "photo",
    "signature": "signature",
    "review": "reviewed",
    "seal": "sealed",
}


def evolve(visit: Visit, event: Event) -> Visit:
    if isinstance(event, FingerKept):
        return _with_hand(visit, event.hand, replace(visit.hands[event.hand], kept=event))
    if isinstance(event, FingersExcepted):
        before = visit.hands[event.hand]
        return _with_hand(visit, event.hand, replace(before, exceptions=(*before.exceptions, event)))
    if isinstance(event, Redone):
        visit = replace(visit, reviewed=None)
        if event.step == "fingers":
            fresh = HANDS if event.hand is None else (event.hand,)
            return replace(visit, hands={**visit.hands, **dict.fromkeys(fresh, HandState())})
        if event.step == "card":
            visit = replace(visit, possession=None)  # it was about that card
        return _replace(visit, _SLOT[event.step], None)
    return _replace(visit, _FIELD[type(event)], event)


def _with_hand(visit: Visit, hand: Hand, state: HandState) -> Visit:
    return replace(visit, hands={**visit.hands, hand: state})


def _replace(visit: Visit, name: str, value: Event | None) -> Visit:
    changes: dict[str, Any] = {name: value}
    return Visit(**(vars(visit) | changes))  # as `replace`, which asks of each field what it is


def _slot(visit: Visit, step: Step) -> Event | None:
    found: Event | None = getattr(visit, _SLOT[step])
    return found
