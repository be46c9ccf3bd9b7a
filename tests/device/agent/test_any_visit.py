"""Whatever is asked of a visit, in any order: nothing incomplete is ever sealed, the journal tells it all."""

from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from device.agent import events as facts
from device.agent.deciding import MAY, NO_CERTIFICATE, decide
from device.agent.events import (
    Abandon,
    ChooseProcedure,
    Event,
    ExceptFingers,
    ExceptPossession,
    ExceptSignature,
    Inform,
    KeepCard,
    KeepFinger,
    KeepPhoto,
    KeepSignature,
    NoteAnswer,
    NoteUploaded,
    ProvePossession,
    Redo,
    Review,
    Seal,
    WaiveCard,
    Wish,
)
from device.agent.visit import HANDS, NEW, evolve, fold, is_done, records, stage, wanted_finger
from device.errors import Refused
from device.ports import LADDER
from protocol.catalogue import Service, narrowed, shipped
from tests.catalogue import with_possession
from tests.device.agent.wishes import OPEN, SEAL, SERVICE, WHOLE

PROVEN = with_possession().service
POSSESSION = ProvePossession("a", "a", True, True, same_holder=True)

_IDS = st.sampled_from(["a", "b", "c", "d"])
_HANDS = st.sampled_from(HANDS)
_FINGERS = st.sampled_from(LADDER)
_REASONS = st.sampled_from(["missing", "injured", "tremor", "worn", "bandage", "paralysed", "other"])
_WISHES: list[st.SearchStrategy[Wish]] = [
    st.just(OPEN),
    st.builds(
        KeepCard,
        _IDS,
        _IDS,
        st.sampled_from(["verified", "weak", "rejected", "not-an-eid", "no-card"]),
        st.sampled_from([(), (NO_CERTIFICATE,)]),
        st.sampled_from(["proven", "unproven", "failed"]),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(
        WaiveCard,
        st.sampled_from(["loss", "theft", "unreadable", "other"]),
        st.sampled_from(["annex12", "police-attest", "other"]),
    ),
    st.builds(Inform, st.just("eid-info"), st.sampled_from(["nl", "es"]), st.booleans()),
    st.builds(ProvePossession, _IDS, _IDS, st.booleans(), st.booleans(), st.booleans()),
    st.builds(ExceptPossession, st.sampled_from([*PROVEN.possession.exceptions, "other"])),
    st.builds(ChooseProcedure, st.sampled_from(["normal", "urgent", "urgent-central", "other"])),
    st.builds(KeepPhoto, _IDS, _IDS),
    st.builds(KeepFinger, _HANDS, _FINGERS, _IDS, _IDS),
    st.builds(
        ExceptFingers,
        _HANDS,
        st.lists(_FINGERS, max_size=5).map(tuple),
        _REASONS,
        st.sampled_from(["temporary", "permanent", "other"]),
        st.booleans(),
    ),
    st.builds(KeepSignature, _IDS, _IDS),
    st.builds(ExceptSignature, st.sampled_from(["cannot", "refuses", "other"])),
    st.builds(Review, st.sampled_from(["nl", "es"])),
    st.builds(Redo, st.sampled_from(PROVEN.steps), st.sampled_from([None, None, "left", "right"])),
    st.builds(Seal, _IDS, _IDS, st.integers(1, 9)),
    st.builds(NoteUploaded, _IDS),
    st.builds(NoteAnswer, _IDS, st.sampled_from(["accepted", "rejected", "recapture", "other"]), st.just("")),
    st.builds(Abandon, st.sampled_from(["not-home", "other"])),
]


class AnyVisit(RuleBasedStateMachine):
    """Random wishes, and now and then the one that fits, so that the far stages are reached as well."""

    service: ClassVar[Service] = SERVICE

    def __init__(self) -> None:
        super().__init__()
        self.visit = NEW
        self.journal: list[Event] = []

    @rule(wish=st.one_of(_WISHES))
    def ask(self, wish: Wish) -> None:
        before = self.visit
        try:
            told = decide(before, wish, self.service)
        except Refused:
            assert self.visit == before
            return
        assert type(wish) in MAY[stage(before, self.service)]
        self._note(told)

    @rule(data=st.data())
    def ask_what_fits(self, data: st.DataObject) -> None:
        where = stage(self.visit, self.service)
        fitting = [wish for wish in (*WHOLE[:-1], POSSESSION) if type(wish) in MAY[where]]
        if where == "fingers":
            hand = next(hand for hand in HANDS if wanted_finger(self.visit, hand, self.service))
            finger = wanted_finger(self.visit, hand, self.service)
            assert finger is not None
            fitting = [
                KeepFinger(hand, finger, "a", hand),
                ExceptFingers(hand, (finger,), "worn", "permanent", False),
            ]
        if where == "seal":
            fitting = [SEAL]
        if where == "possession" and not isinstance(self.visit.card, facts.CardKept):
            fitting = [ExceptPossession("no-card")]
        if fitting:
            self._note(decide(self.visit, data.draw(st.sampled_from(fitting)), self.service))

    def _note(self, told: tuple[Event, ...]) -> None:
        for event in told:
            self.journal.append(event)
            self.visit = evolve(self.visit, event)

    @invariant()
    def the_journal_tells_the_same(self) -> None:
        assert fold(self.journal) == self.visit

    @invariant()
    def sealed_only_with_every_capture_or_its_lawful_exception(self) -> None:
        visit = self.visit
        if visit.sealed is None:
            return
        assert visit.card
        assert visit.reviewed
        for step, fact in (
            ("inform", visit.informed),
            ("possession", visit.possession),
            ("procedure", visit.procedure),
            ("photo", visit.photo),
            ("signature", visit.signature),
        ):
            assert bool(fact) is (step in self.service.steps)
        if "fingers" not in self.service.steps:
            assert not any(state.kept or state.exceptions for state in visit.hands.values())
        for hand in HANDS if "fingers" in self.service.steps else ():
            state = visit.hands[hand]
            excepted = [finger for finger in LADDER if finger in state.excepted]
            if state.kept:  # the first of the ladder that is not excepted
                assert next(finger for finger in LADDER if finger not in excepted) == state.kept.finger
            else:
                assert tuple(excepted) == LADDER
            for exception in state.exceptions:
                rules = self.service.fingers
                lawful = rules.temporary if exception.lasting == "temporary" else rules.permanent
                assert exception.reason in lawful.reasons
        if isinstance(visit.card, facts.CardKept):
            assert visit.card.verdict in ("verified", "weak")
            assert visit.card.genuine != "failed"
        if isinstance(visit.possession, facts.PossessionProven):
            assert isinstance(visit.card, facts.CardKept)
            assert visit.possession.certificate_valid
            assert visit.possession.record in records(visit)
        if isinstance(visit.possession, facts.PossessionExcepted):
            assert visit.possession.reason in self.service.possession.exceptions
            no_card = isinstance(visit.card, facts.CardWaived)
            assert (visit.possession.reason == "no-card") is no_card
        assert all(is_done(visit, step, self.service) for step in self.service.steps)


class AnyShortVisit(AnyVisit):
    """The same where only the photo and the signature are taken anew: these, and nothing else."""

    service = narrowed(shipped()[SERVICE.service], ("photo", "signature")).service


class AnyVisitWithPin(AnyVisit):
    """The same at a service that asks for the holder's PIN."""

    service = PROVEN

    @invariant()
    def a_proof_falls_with_its_card(self) -> None:
        assert self.visit.card or not self.visit.possession


TestAnyVisit = AnyVisit.TestCase
TestAnyVisit.settings = settings(max_examples=120, stateful_step_count=40)
TestAnyVisitWithPin = AnyVisitWithPin.TestCase
TestAnyVisitWithPin.settings = settings(max_examples=120, stateful_step_count=40)
TestAnyShortVisit = AnyShortVisit.TestCase
TestAnyShortVisit.settings = settings(max_examples=60, stateful_step_count=30)
