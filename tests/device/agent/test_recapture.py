"""A visit that takes one part anew: the card says who it is, that part is taken, nothing else is asked."""

import json
from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

from device.agent.deciding import decide
from device.agent.events import Answered, Inform, NoteAnswer, Open, Opened, Redo, Review, Sealed, Uploaded
from device.agent.replay import replay
from device.agent.visit import NEW, fold
from device.errors import Code, KitError, Refused
from protocol.bag import BagVisit
from protocol.catalogue import narrowed, shipped
from protocol.ids import new_ulid
from protocol.instant import write_instant
from protocol.recapture import Asked, Part
from tests.device.agent.kit import OFFICER, PIN, Desktop, Kit
from tests.device.agent.test_outgoing import bring_receipt

WHOLE = new_ulid()
ENTRY = shipped()["be.eid.application"]
FORTNIGHT = timedelta(days=14)


@pytest.fixture
def top(kit: Kit) -> Iterator[Desktop]:
    with Desktop(kit) as on:
        yield on


def short(kit: Kit, *parts: Part, left: timedelta = FORTNIGHT, **changes: str) -> BagVisit:
    until = write_instant(kit.clock.now() + left)
    asked = Asked(packet_id=WHOLE, parts=parts or ("photo",), code="photo-blurred", until=until)
    visit = msgspec.structs.replace(kit.visit(**changes), supplements=asked)
    kit.bring_bag(visit)
    return visit


def test_a_visit_that_only_newer_software_reads_is_set_aside_and_the_others_are_done(
    kit: Kit, top: Desktop
) -> None:
    visit = kit.visit()
    kit.bring_later_bag(visit)
    top.begin(visit)
    seen = top.desk.now()
    assert ([line.visit_id for line in seen.visits], seen.aside, seen.failure) == ([visit.visit_id], 1, None)


def test_only_the_photo_is_taken_and_sealed_as_a_supplement(kit: Kit, top: Desktop) -> None:
    visit = short(kit)
    top.begin(visit)
    seen = top.desk.now()
    assert seen.visits[0].only == ("photo",)
    assert seen.visit is not None
    assert (seen.visit.only, seen.visit.why, seen.visit.step) == (("photo",), "photo-blurred", "card")
    assert seen.visit.service.steps == ("card", "photo", "review", "seal")
    top.capture("card")
    for other in ("signature", "seal", "pin-state"):
        with pytest.raises(Refused):
            top.desk.start(other)  # type: ignore[arg-type]
    with pytest.raises(Refused):
        top.desk.start("finger", "right")
    with pytest.raises(Refused):
        top.desk.wish(Inform("eid-info", "nl", aloud=False))
    top.capture("photo")
    assert top.desk.summary()["only"] == "photo"
    top.desk.wish(Redo("photo"))
    top.capture("photo")
    top.desk.wish(Review("nl"))
    done = top.capture("seal").visit
    assert done is not None
    top.until(lambda now: now.visit and now.visit.sealed)
    opened = kit.service.open(top.packet(done.packet_id))
    about = opened.outer.manifest.supplements
    assert about is not msgspec.UNSET
    assert (about.packet_id, about.parts) == (WHOLE, ("photo",))
    held = {part.name: part.data for part in opened.parts}
    assert list(held) == ["identity.json", "photo.jpg", "application.json"]
    told = json.loads(held["application.json"])
    assert told["supplements"] == {"packet_id": WHOLE, "code": "photo-blurred"}
    assert not {"procedure", "informed", "hands", "validity_months", "signature"} & set(told)
    assert set(told["measures"]) == {"photo"}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (("fingers",), ["finger-right-index.png", "finger-left-index.png"]),
        (("signature",), ["signature.svg", "signature.png"]),
        (("photo", "signature"), ["photo.jpg", "signature.svg", "signature.png"]),
    ],
)
def test_each_part_can_be_asked_for(
    kit: Kit, top: Desktop, asked: tuple[Part, ...], names: list[str]
) -> None:
    top.begin(short(kit, *asked))
    top.capture("card")
    if "photo" in asked:
        top.capture("photo")
    if "fingers" in asked:
        top.capture("finger", "right")
        top.capture("finger", "left")
    if "signature" in asked:
        top.capture("signature")
    top.desk.wish(Review("nl"))
    top.capture("seal")
    done = top.until(lambda now: now.visit and now.visit.sealed).visit
    assert done is not None
    opened = kit.service.open(top.packet(done.packet_id))
    assert [part.name for part in opened.parts] == ["identity.json", *names, "application.json"]


def test_the_card_of_another_takes_no_photo(kit: Kit, top: Desktop) -> None:
    top.begin(short(kit, number="41032799448"))
    assert top.fails("card").code is Code.WRONG_PERSON
    with pytest.raises(Refused):
        top.desk.start("photo")


def test_what_the_service_no_longer_waits_for_is_not_begun(kit: Kit, top: Desktop) -> None:
    visit = short(kit, left=timedelta(seconds=-1))
    top.desk.unlock(OFFICER, PIN)
    with pytest.raises(KitError) as no:
        top.desk.choose(visit.visit_id)
    assert no.value.code is Code.RECAPTURE_LATE
    assert top.desk.now().visits[0].state == "planned"


def test_a_service_without_such_a_step_is_not_begun(kit: Kit) -> None:
    steps = tuple(step for step in ENTRY.service.steps if step != "signature")
    entry = msgspec.structs.replace(ENTRY.service, steps=steps)
    without = {entry.service: type(ENTRY)(entry, ENTRY.digest)}
    with Desktop(kit, catalogue=without) as top:
        visit = short(kit, "signature")
        top.desk.unlock(OFFICER, PIN)
        with pytest.raises(KitError) as no:
            top.desk.choose(visit.visit_id)
        assert no.value.code is Code.CANNOT_SEAL


def test_a_short_visit_goes_on_where_it_was_after_a_restart(kit: Kit) -> None:
    visit = short(kit)
    with Desktop(kit) as top:
        top.begin(visit)
        top.capture("card")
    with Desktop(kit) as top:
        top.begin(visit)
        seen = top.desk.now().visit
        assert seen is not None
        assert (seen.step, seen.only) == ("photo", ("photo",))
    assert replay(kit.data / "vault.db", visit.visit_id, shipped()).stage == "photo"


def test_an_answer_that_asks_again_frees_the_kit_and_says_for_what(kit: Kit, top: Desktop) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    seen = top.whole_visit(visit).visit
    assert seen is not None
    data = top.packet(seen.packet_id)
    until = write_instant(kit.clock.now() + FORTNIGHT)
    token = kit.service.answer(data, "recapture", "photo-blurred", parts=("photo",), until=until)
    for _ in range(2):  # it may be brought twice
        bring_receipt(kit, seen.packet_id, token)
        now = top.until(
            lambda now: now.visit and now.visit.sealed == "recapture" and not top.spool.receipts()
        )
    assert now.visit is not None
    assert (now.visit.asked_anew, now.visit.answer_code) == (("photo",), "photo-blurred")
    assert now.visits[0].state == "recapture"
    assert not top.spool.offered()


ABOUT = (new_ulid(), ENTRY.service.service, ENTRY.digest, OFFICER, "0207500123", 1)


@pytest.mark.parametrize(
    ("only", "supplements"),
    [(("photo",), ""), ((), WHOLE), (("photo", "signature"), "")],
    ids=["parts of nothing", "nothing of an application", "two parts of nothing"],  # the same in each worker
)
def test_parts_of_no_application_and_an_application_without_parts_are_refused(
    only: tuple[Part, ...], supplements: str
) -> None:
    with pytest.raises(Refused):
        decide(NEW, Open(*ABOUT, only, supplements, "x"), ENTRY.service)


@pytest.mark.parametrize(
    ("verdict", "parts"),
    [("recapture", ()), ("accepted", ("photo",)), ("rejected", ("photo",)), ("recaptured", ("photo",))],
)
def test_parts_go_with_a_recapture_and_only_with_one(verdict: str, parts: tuple[Part, ...]) -> None:
    opened = Opened(*ABOUT)
    packet = new_ulid()
    visit = fold([opened, Sealed(packet, "0" * 64, 1), Uploaded(packet)])
    with pytest.raises(Refused):
        decide(visit, NoteAnswer(packet, verdict, "x", parts), ENTRY.service)
    if not parts:
        lawful = decide(visit, NoteAnswer(packet, "recapture", "x", ("photo",)), ENTRY.service)
        assert lawful == (Answered(packet, "recapture", "x", ("photo",)),)


def test_a_journal_of_before_tells_of_whole_visits() -> None:
    line = b'{"kind":"Opened","visit_id":"v","service_id":"s","catalogue":"c","officer_id":"o","tenant":"t"}'
    opened = msgspec.json.decode(line, type=Opened)
    assert (opened.only, opened.supplements) == ((), "")
    line = b'{"kind":"Answered","packet_id":"p","verdict":"accepted","code":""}'
    old = msgspec.json.decode(line, type=Answered)
    assert old.parts == ()
    assert narrowed(ENTRY, opened.only) is ENTRY
