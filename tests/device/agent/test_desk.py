"""The desk over a real vault and a real spool: whole visits, steps done again or given up, and refusals."""

import io
import json
import time
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
import pytest
from PIL import Image

from device.agent.desk import Desk
from device.agent.events import (
    Abandon,
    ChooseProcedure,
    ExceptFingers,
    ExceptSignature,
    Inform,
    KeepPhoto,
    Redo,
    Review,
    Seal,
    WaiveCard,
    Wish,
)
from device.errors import Code, KitError, Refused
from device.ports import LADDER
from device.spool.spool import Spool
from device.vault.database import Database
from look.moments import ZONE
from protocol.sealed.packet import Opened
from tests.device.agent.kit import OFFICER, PIN, Desktop, Kit
from tests.device.agent.peripherals import NUMBER, Bench
from tests.device.agent.wishes import INFORM


def records_of(kit: Kit, visit_id: str) -> list[str]:
    """Kinds of the records that the vault holds of a visit."""
    database = Database(kit.data / "vault.db")
    try:
        rows = database.rows("SELECT kind FROM record WHERE visit_id = ? ORDER BY kind", (visit_id,))
        return [kind for (kind,) in rows]
    finally:
        database.close()


def part(opened: Opened, name: str) -> bytes:
    return next(each.data for each in opened.parts if each.name == name)


def test_a_whole_visit_is_sealed_offered_and_opened_by_the_service(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        seen = top.whole_visit(visit).visit
        assert seen is not None
        assert (seen.step, seen.sealed, seen.identity) == (None, "queued", None)
        opened = kit.service.open(top.packet(seen.packet_id))
    assert [each.name for each in opened.parts] == [
        "identity.json",
        "card-photo.jpg",
        "photo.jpg",
        "finger-right-index.png",
        "finger-left-index.png",
        "signature.svg",
        "signature.png",
        "application.json",
    ]
    identity = json.loads(part(opened, "identity.json"))
    assert identity["identity"]["national_number"] == NUMBER
    assert identity["identity"]["birth_date"] == "1979-04-15"
    application = json.loads(part(opened, "application.json"))
    assert application["procedure"] == "normal"
    assert application["hands"]["right"] == {"finger": "index", "exceptions": []}
    assert application["validity_months"] == 0
    manifest = opened.outer.manifest
    assert (manifest.seq, manifest.visit_id, manifest.officer_id) == (1, visit.visit_id, OFFICER)
    assert manifest.flags == ("test-trust",)


def test_fingers_are_pngs_of_500_ppi(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "signature")
        seen = top.desk.now().visit
        assert seen is not None
        kind, png = top.desk.part(seen.hands[0].kept_record)
    assert kind == "image/png"
    with Image.open(io.BytesIO(png)) as picture:
        assert (picture.mode, picture.size) == ("L", (60, 80))
        assert picture.info["dpi"] == pytest.approx((500, 500), abs=0.1)


def test_a_second_application_is_chained_to_the_first(kit: Kit) -> None:
    first, second = kit.visit(), kit.visit()
    kit.bring_bag(first, second)
    with Desktop(kit) as top:
        one = top.whole_visit(first).visit
        assert one is not None
        top.desk.leave()
        two = top.whole_visit(second).visit
        assert two is not None
        opened = [kit.service.open(top.packet(seen.packet_id)) for seen in (one, two)]
    assert [each.outer.manifest.seq for each in opened] == [1, 2]
    assert opened[1].outer.manifest.prev == opened[0].outer.manifest_sha256


def test_a_visit_with_every_lawful_exception_is_sealed_and_says_so(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.begin(visit)
        top.desk.wish(WaiveCard("loss", "annex12"))
        top.desk.wish(INFORM)
        top.desk.wish(ChooseProcedure("normal"))
        top.capture("photo")
        top.desk.wish(ExceptFingers("right", LADDER, "injured", "temporary", attest_seen=True))
        top.desk.wish(ExceptFingers("left", LADDER, "missing", "permanent", attest_seen=False))
        top.desk.wish(ExceptSignature("cannot"))
        seen = top.desk.now().visit
        assert seen is not None
        assert (seen.validity_note, seen.card_waived) == ("twelve-months", "loss")
        assert dict(top.desk.summary()) == {
            "card": "loss/annex12",
            "only": "",
            "informed": "nl",
            "procedure": "normal",
            "photo": "taken",
            "signature": "cannot",
            "validity-months": "12",
            "right": "",
            "right-excepted": " ".join(f"{finger}/injured/temporary" for finger in LADDER),
            "left": "",
            "left-excepted": " ".join(f"{finger}/missing/permanent" for finger in LADDER),
        }
        top.desk.wish(Review("nl"))
        seen = top.capture("seal").visit
        assert seen is not None
        opened = kit.service.open(top.packet(seen.packet_id))
    assert [each.name for each in opened.parts] == ["photo.jpg", "application.json"]
    application = json.loads(part(opened, "application.json"))
    assert application["validity_months"] == 12
    assert application["card"] == {"state": "waived", "reason": "loss", "document": "annex12"}
    assert application["request"]["national_number"] == NUMBER
    assert opened.outer.manifest.flags == ("card-waived", "exception")


@pytest.mark.parametrize(
    "wish",
    [
        KeepPhoto("x", "y"),
        Seal("x", "y", 1),
        Redo("fingers", "middle"),  # type: ignore[arg-type]
        Redo("holiday"),  # type: ignore[arg-type]
        Inform("eid-info", "nl", aloud="yes"),  # type: ignore[arg-type]
        ExceptFingers("up", ("index",), "missing", "permanent", False),  # type: ignore[arg-type]
        Review("nl"),
        ChooseProcedure("normal"),
    ],
    ids=lambda wish: type(wish).__name__,
)
def test_a_screen_cannot_forge_a_capture_or_bring_what_is_malformed_or_untimely(kit: Kit, wish: Wish) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.begin(visit)
        before = top.desk.now()
        with pytest.raises(Refused) as refused:
            top.desk.wish(wish)
        assert refused.value.code is Code.NOT_NOW
        assert top.desk.now().visit == before.visit


def test_sealing_before_the_end_says_that_a_step_is_missing(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "signature")
        with pytest.raises(Refused) as refused:
            top.desk.start("seal")
        assert refused.value.code is Code.STEP_MISSING
        for what, hand in (("card", None), ("finger", "right"), ("finger", None)):
            with pytest.raises(Refused) as refused:
                top.desk.start(what, hand)  # type: ignore[arg-type]
            assert refused.value.code is Code.NOT_NOW


def test_an_urgent_card_is_refused_after_the_hour_of_the_catalogue(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    now = kit.clock.now()

    class AtNight:
        def now(self) -> object:
            return now.astimezone(ZONE).replace(hour=23, minute=30)

        def monotonic(self) -> float:
            return time.monotonic()

    with Desktop(kit, clock=AtNight()) as top:
        top.until_step(visit, "procedure")
        with pytest.raises(Refused):
            top.desk.wish(ChooseProcedure("urgent"))
        top.desk.wish(ChooseProcedure("normal"))


def test_a_step_done_again_drops_its_record_and_the_review(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "seal")
        assert records_of(kit, visit.visit_id) == [
            "card",
            "finger",
            "finger",
            "photo",
            "request",
            "signature",
        ]
        top.desk.wish(Redo("fingers", "left"))
        assert records_of(kit, visit.visit_id) == ["card", "finger", "photo", "request", "signature"]
        seen = top.desk.now().visit
        assert seen is not None
        assert seen.step == "fingers"
        top.desk.wish(Redo("card"))
        seen = top.desk.now().visit
        assert seen is not None
        assert (seen.step, seen.identity, seen.card_record) == ("card", None, "")


def test_an_abandoned_visit_leaves_no_record_and_cannot_be_taken_up_again(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "signature")
        top.desk.wish(Abandon("unwell"))
        assert records_of(kit, visit.visit_id) == []
        top.desk.leave()
        top.desk.choose(visit.visit_id)
        seen = top.desk.now()
        assert seen.visit is not None
        assert (seen.visit.abandoned, seen.visit.step, seen.visit.identity) == ("unwell", None, None)
        assert seen.visits[0].state == "abandoned"
        with pytest.raises(Refused):
            top.desk.start("card")


def test_a_visit_that_could_not_be_sealed_is_not_begun(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    kit.write_list(kit.clock.now() - timedelta(seconds=1))
    with Desktop(kit) as top:
        top.desk.unlock(OFFICER, PIN)
        with pytest.raises(KitError) as expired:
            top.desk.choose(visit.visit_id)
        assert expired.value.code is Code.RECIPIENTS_EXPIRED
        kit.list_path.write_text("not a list")
        with pytest.raises(KitError) as untrusted:
            top.desk.choose(visit.visit_id)
        assert untrusted.value.code is Code.RECIPIENTS_UNTRUSTED
        assert top.desk.now().visits[0].state == "planned"


def test_a_service_this_kit_does_not_know_is_not_begun(kit: Kit) -> None:
    visit = msgspec.structs.replace(kit.visit(), service_id="be.passport.application")
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.desk.unlock(OFFICER, PIN)
        with pytest.raises(KitError) as unknown:
            top.desk.choose(visit.visit_id)
        assert unknown.value.code is Code.CANNOT_SEAL


class NoClock:
    """A machine that cannot say what time it is: a mistake that nobody foresaw."""

    def now(self) -> datetime:
        raise ArithmeticError

    def monotonic(self) -> float:
        raise ArithmeticError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.timeout(30)
def test_a_mistake_while_it_opens_ends_the_program_and_does_not_hang_it(kit: Kit) -> None:
    spool = Spool(kit.data / "spool")
    desk = Desk(replace(kit.setup(Bench(), spool), clock=NoClock()))
    with pytest.raises(ArithmeticError):
        desk.open()
    desk.close()
    spool.close()
