"""The rules of a visit: what fits, what is refused, and that nothing incomplete is ever sealed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec
import pytest

from device.agent import events as facts
from device.agent.deciding import MAY, check_hour, decide
from device.agent.events import (
    Abandon,
    ChooseProcedure,
    ExceptFingers,
    ExceptSignature,
    Inform,
    KeepCard,
    KeepFinger,
    KeepPhoto,
    NoteAnswer,
    NoteUploaded,
    Open,
    Redo,
    Review,
    WaiveCard,
    Wish,
)
from device.agent.visit import (
    NEW,
    Visit,
    evolve,
    next_step,
    records,
    stage,
    validity_months,
    wanted_finger,
)
from device.errors import Code, Refused
from device.ports import LADDER, Hand
from tests.device.agent.wishes import (
    CARD,
    INFORM,
    LEFT,
    NORMAL,
    OPEN,
    PACKET,
    REVIEW,
    RIGHT,
    SEAL,
    SERVICE,
    SIGNATURE,
    VISIT,
    WHOLE,
    digest,
)


def after(*wishes: Wish, visit: Visit = NEW) -> Visit:
    for wish in wishes:
        for event in decide(visit, wish, SERVICE):
            visit = evolve(visit, event)
    return visit


def refusal(visit: Visit, wish: Wish) -> Code:
    with pytest.raises(Refused) as refused:
        decide(visit, wish, SERVICE)
    return refused.value.code


def up_to(wish: Wish) -> Visit:
    return after(*WHOLE[: WHOLE.index(wish)])


def test_a_visit_goes_through_the_steps_of_its_entry_in_order() -> None:
    visit, seen = NEW, []
    for wish in WHOLE:
        seen.append(stage(visit, SERVICE))
        visit = after(wish, visit=visit)
    assert seen == ["new", *SERVICE.steps[:5], *SERVICE.steps[4:]]
    assert stage(visit, SERVICE) == "sealed"
    assert records(visit) == ("card-1", "photo-1", "finger-1", "finger-2", "signature-1")


def test_the_answer_may_come_before_the_news_of_the_upload() -> None:
    sealed = after(*WHOLE)
    assert stage(after(NoteUploaded(PACKET), visit=sealed), SERVICE) == "uploaded"
    for between in ((), (NoteUploaded(PACKET),)):
        answered = after(*between, NoteAnswer(PACKET, "rejected", "photo-refused"), visit=sealed)
        assert stage(answered, SERVICE) == "answered"
        assert next_step(answered, SERVICE) is None


@pytest.mark.parametrize("wish", WHOLE, ids=lambda wish: type(wish).__name__)
def test_a_wish_is_refused_once_its_step_is_done(wish: Wish) -> None:
    visit = after(*WHOLE[: WHOLE.index(wish) + 1])
    assert refusal(visit, wish) is Code.NOT_NOW


@pytest.mark.parametrize("wish", WHOLE[1:-1], ids=lambda wish: f"{type(wish).__name__}")
def test_sealing_before_this_step_says_that_a_step_is_missing(wish: Wish) -> None:
    assert refusal(up_to(wish), SEAL) is Code.STEP_MISSING


def test_nothing_happens_to_a_sealed_or_abandoned_visit() -> None:
    abandoned = after(OPEN, Abandon("unwell"))
    assert stage(abandoned, SERVICE) == "abandoned"
    assert next_step(abandoned, SERVICE) is None
    answered = after(*WHOLE, NoteAnswer(PACKET, "accepted", ""))
    for ended in (abandoned, answered):
        for wish in (*WHOLE, Redo("photo"), Abandon("unwell"), NoteUploaded(PACKET)):
            assert refusal(ended, wish) is Code.NOT_NOW
    assert refusal(after(*WHOLE), Redo("photo")) is Code.NOT_NOW
    assert refusal(after(*WHOLE), Abandon("mistake")) is Code.NOT_NOW


@pytest.mark.parametrize(
    ("card", "code"),
    [
        (msgspec.structs.replace(CARD, verdict="rejected"), Code.CARD_REJECTED),
        (msgspec.structs.replace(CARD, verdict="not-an-eid"), Code.CARD_REJECTED),
        (msgspec.structs.replace(CARD, verdict="rejected", expected_number=False), Code.CARD_REJECTED),
        (msgspec.structs.replace(CARD, genuine="failed"), Code.NOT_GENUINE),
        (msgspec.structs.replace(CARD, genuine=""), Code.NOT_GENUINE),
        (msgspec.structs.replace(CARD, expected_number=False), Code.WRONG_PERSON),
    ],
)
def test_a_card_that_is_rejected_or_not_genuine_or_of_another_is_not_kept(card: KeepCard, code: Code) -> None:
    assert refusal(after(OPEN), card) is code


@pytest.mark.parametrize(
    ("before", "wish"),
    [
        (OPEN, msgspec.structs.replace(OPEN, service_id="be.kids.application")),
        (CARD, WaiveCard("unreadable", "police-attest")),
        (CARD, WaiveCard("forgotten", "annex12")),
        (INFORM, Inform("another", "nl", True)),
        (INFORM, Inform("eid-info", "es", True)),
        (NORMAL, ChooseProcedure("overnight")),
        (RIGHT, KeepFinger("right", "middle", "finger-9", digest("finger-9"))),
        (RIGHT, KeepFinger(cast(Hand, "third"), "index", "finger-9", digest("finger-9"))),
        (RIGHT, ExceptFingers(cast(Hand, "third"), ("index",), "injured", "temporary", False)),
        (RIGHT, ExceptFingers("right", (), "injured", "temporary", False)),
        (RIGHT, ExceptFingers("right", ("index", "index"), "injured", "temporary", False)),
        (RIGHT, ExceptFingers("right", ("index",), "missing", "temporary", False)),
        (RIGHT, ExceptFingers("right", ("index",), "bandage", "permanent", False)),
        (RIGHT, ExceptFingers("right", ("index",), "unwilling", "permanent", False)),
        (LEFT, ExceptFingers("right", ("index",), "missing", "permanent", False)),
        (LEFT, KeepFinger("right", "index", "finger-9", digest("finger-9"))),
        (SIGNATURE, ExceptSignature("busy")),
        (REVIEW, Review("es")),
        (REVIEW, Redo("review")),
        (REVIEW, Redo("seal")),
        (REVIEW, Redo("photo", "left")),
        (CARD, Redo("fingers")),
        (CARD, Abandon("bored")),
    ],
)
def test_what_the_entry_does_not_know_is_refused(before: Wish, wish: Wish) -> None:
    assert refusal(up_to(before), wish) is Code.NOT_NOW


@pytest.mark.parametrize(
    "three_in_belgium", [datetime(2026, 11, 23, 14, tzinfo=UTC), datetime(2027, 7, 5, 13, tzinfo=UTC)]
)
def test_an_urgent_card_is_asked_before_three_in_belgium(three_in_belgium: datetime) -> None:
    """Whatever the zone of the system, which nobody sets: that of this machine is another one as a rule."""
    check_hour("urgent", SERVICE, three_in_belgium - timedelta(minutes=1))
    check_hour("normal", SERVICE, three_in_belgium)
    with pytest.raises(Refused):
        check_hour("urgent", SERVICE, three_in_belgium)


def test_a_finger_that_was_excepted_is_not_excepted_twice() -> None:
    visit = after(ExceptFingers("right", ("index",), "injured", "temporary", False), visit=up_to(RIGHT))
    assert refusal(visit, ExceptFingers("right", ("index",), "worn", "permanent", True)) is Code.NOT_NOW


def test_the_same_image_is_not_kept_for_both_hands() -> None:
    again = KeepFinger("left", "index", "finger-2", RIGHT.digest)
    assert refusal(after(RIGHT, visit=up_to(RIGHT)), again) is Code.SAME_FINGER


def test_another_packet_moves_nothing() -> None:
    other = "01KA0000000000000000000009"
    assert refusal(after(*WHOLE), NoteUploaded(other)) is Code.NOT_NOW
    assert refusal(after(*WHOLE), NoteAnswer(other, "accepted", "")) is Code.NOT_NOW
    assert refusal(after(*WHOLE), NoteAnswer(PACKET, "perhaps", "")) is Code.NOT_NOW


@pytest.mark.parametrize(
    ("reason", "document"), [("loss", "annex12"), ("theft", "police-attest"), ("unreadable", "annex12")]
)
def test_the_card_is_waived_when_the_right_document_was_seen(reason: str, document: str) -> None:
    visit = after(OPEN, WaiveCard(reason, document))
    assert next_step(visit, SERVICE) == "inform"
    assert records(visit) == ()


@pytest.mark.parametrize("reason", ["cannot", "refuses"])
def test_a_signature_may_be_excepted(reason: str) -> None:
    assert next_step(after(ExceptSignature(reason), visit=up_to(SIGNATURE)), SERVICE) == "review"


def test_the_ladder_goes_down_finger_by_finger_on_each_hand_by_itself() -> None:
    visit = up_to(RIGHT)
    for finger in LADDER:
        assert wanted_finger(visit, "right", SERVICE) == finger
        assert wanted_finger(visit, "left", SERVICE) == "index"
        visit = after(ExceptFingers("right", (finger,), "missing", "permanent", False), visit=visit)
    assert wanted_finger(visit, "right", SERVICE) is None
    assert next_step(visit, SERVICE) == "fingers"
    visit = after(LEFT, visit=visit)
    assert wanted_finger(visit, "left", SERVICE) is None
    assert next_step(visit, SERVICE) == "signature"


@pytest.mark.parametrize(
    ("right", "left", "months"),
    [("permanent", "permanent", 0), ("temporary", "permanent", 12), ("temporary", "temporary", 12)],
)
def test_a_card_without_any_print_is_valid_twelve_months_when_one_can_come_later(
    right: str, left: str, months: int
) -> None:
    begun = after(ExceptFingers("right", LADDER, "worn", right, True), visit=up_to(RIGHT))
    assert validity_months(begun, SERVICE) == 0  # not known before the left hand is done
    whole = after(ExceptFingers("left", LADDER, "worn", left, True), visit=begun)
    assert validity_months(whole, SERVICE) == months
    one_print = after(LEFT, visit=begun)
    assert validity_months(one_print, SERVICE) == 0


def test_doing_a_step_again_takes_the_review_back_and_nothing_else() -> None:
    reviewed = up_to(SEAL)
    visit = after(Redo("photo"), visit=reviewed)
    assert visit == replace(reviewed, photo=None, reviewed=None)
    assert next_step(visit, SERVICE) == "photo"
    visit = after(KeepPhoto("photo-2", digest("photo-2")), visit=visit)
    assert next_step(visit, SERVICE) == "review"
    assert refusal(visit, SEAL) is Code.STEP_MISSING


def test_one_hand_is_done_again_without_the_other() -> None:
    visit = after(Redo("fingers", "right"), visit=up_to(SEAL))
    assert wanted_finger(visit, "right", SERVICE) == "index"
    assert wanted_finger(visit, "left", SERVICE) is None
    both = after(Redo("fingers"), visit=visit)
    assert wanted_finger(both, "left", SERVICE) == "index"


def test_the_table_speaks_of_every_wish_and_every_stage_of_the_entry() -> None:
    named = {wish for fitting in MAY.values() for wish in fitting}
    assert named == set(Wish.__subclasses__())
    assert set(SERVICE.steps) < set(MAY)


def test_no_fact_has_room_for_a_name_or_a_picture() -> None:
    held = {name for fact in facts.Fact.__subclasses__() for name in fact.__struct_fields__}
    assert not held & {"name", "surname", "identity", "address", "jpeg", "png", "pixels", "data", "photo"}


def test_the_opened_fact_names_the_entry() -> None:
    visit = after(Open(VISIT, SERVICE.service, OPEN.catalogue, "an.peeters", "0207500123"))
    assert visit.opened == facts.Opened(VISIT, SERVICE.service, OPEN.catalogue, "an.peeters", "0207500123")
