"""Bad luck at the table: each has its failure with a remedy, nothing is stored, and the visit goes on."""

from dataclasses import replace

import pytest

from device.agent.captures import DEADLINE_S
from device.agent.events import Redo
from device.errors import Code, KitError, Refused, Remedy
from device.ports import CardReading, Condition
from protocol.bag import BagVisit
from tests.device.agent.kit import OFFICER, PIN, Desktop, Kit
from tests.device.agent.peripherals import IDENTITY, INK, PHOTO, READING, finger_image
from tests.device.agent.test_desk import records_of

SHORT = {**DEADLINE_S, "finger": 0.2, "card": 0.2}


@pytest.fixture
def visit(kit: Kit) -> BagVisit:
    visit = kit.visit()
    kit.bring_bag(visit)
    return visit


STRANGER = replace(READING, identity=replace(IDENTITY, national_number="85073003328"))


@pytest.mark.parametrize(
    ("reading", "code", "reasons"),
    [
        (
            CardReading("rejected", ("identity-signature", "photo-hash")),
            Code.CARD_REJECTED,
            ("identity-signature", "photo-hash"),
        ),
        (CardReading("not-an-eid"), Code.NOT_AN_EID, ()),
        (CardReading("no-card"), Code.NO_CARD, ()),
        (replace(READING, genuine="failed", flags=("not-genuine",)), Code.NOT_GENUINE, ("not-genuine",)),
        (STRANGER, Code.WRONG_PERSON, ()),
        (replace(READING, identity=None), Code.CARD_REJECTED, ()),
    ],
    ids=["rejected", "not-an-eid", "no-card", "not-genuine", "wrong-person", "no-identity"],
)
def test_of_a_card_that_will_not_do_nothing_is_kept_or_shown(
    kit: Kit, visit: BagVisit, reading: CardReading, code: Code, reasons: tuple[str, ...]
) -> None:
    with Desktop(kit) as top:
        top.until_step(visit, "card")
        top.bench.card.script.append(reading)
        failure = top.fails("card")
        assert (failure.code, failure.reasons, failure.what) == (code, reasons, "card")
        seen = top.desk.now().visit
        assert seen is not None
        assert (seen.step, seen.identity, seen.card_record) == ("card", None, "")
        assert records_of(kit, visit.visit_id) == ["request"]
        assert top.capture("card").failure is None  # and the right card goes on


def test_a_card_is_kept_whoevers_it_is_when_the_request_names_no_number(kit: Kit) -> None:
    visit = kit.visit(number="")
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "card")
        top.bench.card.script.append(STRANGER)
        assert top.capture("card").failure is None


@pytest.mark.parametrize(
    "problem",
    [
        KitError(Code.CARD_REMOVED, Remedy.RETRY),
        KitError(Code.NO_READER, Remedy.OFFICER),
        KitError(Code.PERIPHERAL_GONE, Remedy.OFFICER, "unplugged"),
    ],
    ids=lambda problem: str(problem.code),
)
def test_what_the_driver_says_is_shown_with_its_remedy_until_it_is_tried_again(
    kit: Kit, visit: BagVisit, problem: KitError
) -> None:
    with Desktop(kit) as top:
        top.until_step(visit, "card")
        top.bench.card.script.append(problem)
        failure = top.fails("card")
        assert (failure.code, failure.remedy) == (problem.code, problem.remedy)
        top.desk.dismiss()
        assert top.desk.now().failure is None
        assert top.capture("card").failure is None


def test_a_driver_that_was_gone_is_opened_again(kit: Kit, visit: BagVisit) -> None:
    with Desktop(kit) as top:
        top.until_step(visit, "fingers")
        top.bench.fingerprint.script.append(KitError(Code.PERIPHERAL_GONE, Remedy.OFFICER))
        assert top.fails("finger", "right").code is Code.PERIPHERAL_GONE
        assert (top.bench.fingerprint.opened, top.bench.fingerprint.closed) == (1, 1)
        assert top.capture("finger", "right").failure is None
        assert top.bench.fingerprint.opened == 2


def test_a_driver_with_a_bug_costs_the_capture_and_not_the_visit(kit: Kit, visit: BagVisit) -> None:
    with Desktop(kit) as top:
        top.until_step(visit, "photo")
        top.bench.camera.script.append(ZeroDivisionError("Roos Vandekanarie"))
        failure = top.fails("photo")
        assert (failure.code, failure.remedy) == (Code.PERIPHERAL_PROTOCOL, Remedy.RETRY)
        assert top.capture("photo").failure is None


def test_a_cancelled_capture_is_no_failure_and_keeps_nothing(kit: Kit, visit: BagVisit) -> None:
    with Desktop(kit) as top:
        top.until_step(visit, "fingers")
        scanner = top.bench.fingerprint
        scanner.script.append("wait")
        top.desk.start("finger", "right")
        assert scanner.began.wait(30)
        busy = top.until(lambda now: now.busy and now.busy.code == "working").busy
        assert busy is not None
        assert (busy.what, busy.hand, busy.finger, busy.share) == ("finger", "right", "index", 0.5)
        with pytest.raises(Refused) as refused:  # one at a time
            top.desk.start("finger", "left")
        assert refused.value.code is Code.NOT_NOW
        with pytest.raises(Refused):
            top.desk.wish(Redo("photo"))
        top.desk.cancel()
        assert top.idle().failure is None
        assert "finger" not in records_of(kit, visit.visit_id)
        assert top.capture("finger", "right").failure is None


def test_what_a_capture_brings_after_the_desk_was_locked_goes_nowhere(kit: Kit, visit: BagVisit) -> None:
    with Desktop(kit) as top:
        top.until_step(visit, "fingers")
        scanner = top.bench.fingerprint
        scanner.script.append("hang")
        top.desk.start("finger", "right")
        assert scanner.began.wait(30)
        top.desk.lock()
        scanner.release.set()
        top.desk.unlock(OFFICER, PIN)
        top.desk.choose(visit.visit_id)
        assert top.idle().failure is None
        seen = top.desk.now().visit
        assert seen is not None
        assert seen.hands[0].kept is None
        assert top.capture("finger", "right").failure is None


def test_a_stuck_driver_is_given_up_reported_and_replaced(
    kit: Kit, visit: BagVisit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.agent.captures.GRACE_S", 0.3)
    with Desktop(kit, deadlines=SHORT) as top:
        top.until_step(visit, "fingers")
        scanner = top.bench.fingerprint
        scanner.script.append("hang")
        failure = top.fails("finger", "right")
        assert (failure.code, failure.remedy) == (Code.TIMED_OUT, Remedy.RETRY)
        assert top.capture("finger", "right").failure is None  # by a new worker, while the old one hangs
        assert scanner.opened == 2
        scanner.release.set()
        top.until(lambda now: scanner.closed == 1)  # it cleans up after itself when it comes back
        seen = top.desk.now().visit
        assert seen is not None
        assert seen.hands[1].kept is None  # and what it brought is not taken for the other hand


def test_a_stuck_driver_that_is_cancelled_is_given_up_soon(
    kit: Kit, visit: BagVisit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.agent.captures.GRACE_S", 0.3)
    with Desktop(kit) as top:
        top.until_step(visit, "fingers")
        top.bench.fingerprint.script.append("hang")
        top.desk.start("finger", "right")
        assert top.bench.fingerprint.began.wait(30)
        top.desk.cancel()
        assert top.idle().failure is None


def test_a_poor_finger_is_asked_again_and_the_best_of_three_is_kept(kit: Kit, visit: BagVisit) -> None:
    with Desktop(kit) as top:
        top.until_step(visit, "fingers")
        scanner = top.bench.fingerprint
        scanner.script.extend(
            [
                finger_image(40, ("too-dry", "partial")),
                finger_image(41, ("blank",)),  # shows nothing: never counted, never kept
                finger_image(42, ("too-dry",)),
                finger_image(43, ("too-dry", "off-centre")),
            ]
        )
        for hints in (("too-dry", "partial"), ("blank",), ("too-dry",)):
            failure = top.fails("finger", "right")
            assert (failure.code, failure.reasons) == (Code.FINGER_POOR, hints)
        seen = top.capture("finger", "right")
        assert seen.failure is None
        assert seen.visit is not None
        record = seen.visit.hands[0].kept_record
        for step in top.steps()[5:]:
            step()
        sealed = top.desk.now().visit
        assert sealed is not None
        opened = kit.service.open(top.packet(sealed.packet_id))
    assert record
    application = next(part.data for part in opened.parts if part.name == "application.json")
    assert b'"hints":["too-dry"]' in application
    assert "poor-capture" in opened.outer.manifest.flags


def test_a_poor_photo_says_what_to_do_better(kit: Kit, visit: BagVisit) -> None:
    with Desktop(kit) as top:
        top.until_step(visit, "photo")
        top.bench.camera.script.append(replace(PHOTO, hints=("too-dark",)))
        failure = top.fails("photo")
        assert (failure.code, failure.reasons) == (Code.PHOTO_POOR, ("too-dark",))


def test_the_same_picture_for_both_hands_is_refused(kit: Kit, visit: BagVisit) -> None:
    with Desktop(kit) as top:
        top.until_step(visit, "fingers")
        top.bench.fingerprint.script.extend([finger_image(50), finger_image(50)])
        assert top.capture("finger", "right").failure is None
        assert top.fails("finger", "left").code is Code.SAME_FINGER


@pytest.mark.parametrize(
    "image", [replace(finger_image(9), ppi=508), replace(finger_image(9), width=61), finger_image(9)]
)
def test_a_picture_that_is_not_what_it_says_is_not_kept(kit: Kit, visit: BagVisit, image: object) -> None:
    good = image == finger_image(9)
    with Desktop(kit) as top:
        top.until_step(visit, "fingers")
        top.bench.fingerprint.script.append(image)
        failure = top.capture("finger", "right").failure
        assert (failure is None) is good
        assert good or (failure is not None and failure.code is Code.PERIPHERAL_PROTOCOL)


def test_the_signature_is_followed_on_the_screen_and_ended_by_the_citizen(kit: Kit, visit: BagVisit) -> None:
    with Desktop(kit) as top:
        top.until_step(visit, "signature")
        top.bench.signature.script.append("sign")
        top.desk.start("signature")
        busy = top.until(lambda now: now.busy and now.busy.ink_svg).busy
        assert busy is not None
        assert busy.ink_svg.count("<path") == 1
        top.desk.finish_ink()
        seen = top.idle().visit
        assert seen is not None
        kind, svg = top.desk.part(seen.signature_record)
        drawn = svg.count(b"<path") + svg.count(b"<circle")  # a dot is a circle
        assert (kind, drawn) == ("image/svg+xml", len(INK.strokes))


def test_an_empty_signature_is_not_kept(kit: Kit, visit: BagVisit) -> None:
    with Desktop(kit) as top:
        top.until_step(visit, "signature")
        top.bench.signature.script.append(replace(INK, strokes=()))
        assert top.fails("signature").code is Code.EMPTY_SIGNATURE


def test_the_preview_is_there_while_a_visit_is_open(kit: Kit, visit: BagVisit) -> None:
    with Desktop(kit) as top:
        with pytest.raises(Refused):
            top.desk.preview()
        top.until_step(visit, "photo")
        assert top.desk.preview().startswith(b"\xff\xd8")
        top.bench.camera.script.append("wait")
        top.desk.start("photo")
        assert top.bench.camera.began.wait(30)
        with pytest.raises(KitError) as busy:
            top.desk.preview()
        assert busy.value.code is Code.PERIPHERAL_BUSY
        top.bench.camera.release.set()
        assert top.idle().failure is None


def test_a_peripheral_that_is_unplugged_is_seen_within_seconds(kit: Kit) -> None:
    with Desktop(kit) as top:
        assert top.until(lambda now: len(now.peripherals) == 4).peripherals["card"].state == "ok"
        top.bench.card.state = Condition("missing", detail="no-reader")
        assert top.until(lambda now: now.peripherals["card"].state == "missing")
        top.bench.camera.state = Condition("degraded", "folder", example=True)
        assert top.until(lambda now: now.example_picture)
