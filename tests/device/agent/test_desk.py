"""The desk over a real vault and a real spool: a whole visit, what is refused, and what may be seen when."""

import io
import json
import time
from datetime import timedelta

import msgspec
import pytest
from PIL import Image

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
from device.vault.database import Database
from protocol.sealed.packet import Opened
from tests.device.agent.kit import COLLEAGUE, OFFICER, PIN, Desktop, Kit
from tests.device.agent.peripherals import NUMBER, PHOTO

INFORM = Inform("eid-info", "nl", aloud=False)


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


def test_only_this_officers_visits_are_listed_in_the_order_of_the_day(kit: Kit) -> None:
    late, early, other = kit.visit(), kit.visit(), kit.visit(officer_id=COLLEAGUE)
    early = msgspec.structs.replace(early, starts="2026-11-01T08:00:00Z", ends="2026-11-01T08:25:00Z")
    kit.bring_bag(late, early, other)
    with Desktop(kit) as top:
        assert top.desk.now().visits == ()
        top.desk.unlock(OFFICER, PIN)
        listed = top.until(lambda seen: seen.visits).visits
        assert [each.visit_id for each in listed] == [early.visit_id, late.visit_id]
        assert {each.state for each in listed} == {"planned"}
        with pytest.raises(Refused) as refused:
            top.desk.choose(other.visit_id)
        assert refused.value.code is Code.UNKNOWN_VISIT


def test_while_locked_nothing_is_seen_and_nothing_may_be_asked(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "photo")
        photo = top.capture("photo").visit
        assert photo is not None
        top.desk.lock()
        locked = top.until(lambda seen: seen.officer is None)
        assert (locked.visits, locked.visit, locked.bag_date) == ((), None, "")
        assert "Vandekanarie" not in repr(locked)
        asked = (
            lambda: top.desk.choose(visit.visit_id),
            lambda: top.desk.wish(INFORM),
            lambda: top.desk.start("card"),
            lambda: top.desk.part(photo.photo_record),
            lambda: top.desk.summary(),
            lambda: top.desk.preview(),
        )
        for ask in asked:
            with pytest.raises(Refused) as refused:
                ask()
            assert refused.value.code is Code.LOCKED


def test_an_idle_desk_locks_itself_and_a_long_poll_does_not_keep_it_open(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit, idle_lock_s=0.6) as top:
        top.desk.unlock(OFFICER, PIN)
        assert top.desk.now().officer is not None
        assert top.until(lambda seen: seen.officer is None, 5)


def test_wrong_pins_are_counted_on_the_screen_and_then_there_is_a_wait(kit: Kit) -> None:
    with Desktop(kit) as top:
        left = []
        for _ in range(5):
            with pytest.raises(KitError) as wrong:
                top.desk.unlock(OFFICER, "000999")
            assert wrong.value.code is Code.WRONG_PIN
            left.append(top.until(lambda seen: seen.gate.tries_left < 5 - len(left)).gate.tries_left)
        assert left == [4, 3, 2, 1, 0]
        with pytest.raises(KitError) as waits:
            top.desk.unlock(OFFICER, PIN)
        assert waits.value.code is Code.TOO_MANY_TRIES
        assert top.desk.now().gate.wait_s > 0
        with pytest.raises(KitError) as stranger:
            top.desk.unlock("jan.janssens", PIN)
        assert stranger.value.code is Code.UNKNOWN_OFFICER


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
            return now.astimezone().replace(hour=23, minute=30)

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


@pytest.mark.parametrize("changes", [{"kit_id": "kit-other"}, {"days_ago": 2}])
def test_a_bag_of_another_kit_or_an_earlier_day_is_not_opened(kit: Kit, changes: dict[str, object]) -> None:
    kit.bring_bag(kit.visit(), **changes)  # type: ignore[arg-type]
    with Desktop(kit) as top:
        top.desk.unlock(OFFICER, PIN)
        seen = top.until(lambda now: now.failure)
        assert seen.failure is not None
        assert seen.failure.code is Code.BAG_UNREADABLE
        assert seen.visits == ()
        top.desk.dismiss()
        kit.bring_bag(kit.visit())
        assert top.until(lambda now: now.visits).failure is None


def test_a_newer_bag_arrives_while_a_visit_is_open_and_the_visit_stays_as_it_was(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "photo")
        kit.bring_bag(kit.visit(), kit.visit())
        seen = top.until(lambda now: len(now.visits) == 3)
        assert seen.visit is not None
        assert seen.visit.name == "Roos Vandekanarie"
        assert top.capture("photo").failure is None


def test_versions_only_grow_and_the_same_state_is_not_told_twice(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.begin(visit)
        seen = [top.desk.now()]
        top.desk.start("card")
        while seen[-1].visit is None or seen[-1].visit.step != "inform":
            seen.append(top.desk.after(seen[-1].version, 2))
        assert [each.version for each in seen] == sorted({each.version for each in seen})
        assert any(each.busy and each.busy.what == "card" for each in seen)
        still = top.desk.after(seen[-1].version, 0.6)
        assert still.version - seen[-1].version <= 2


def test_parts_are_given_for_the_open_visit_alone(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "review")
        seen = top.desk.now().visit
        assert seen is not None
        assert top.desk.part(seen.photo_record) == ("image/jpeg", PHOTO.jpeg)
        assert top.desk.part(seen.card_record)[0] == "image/jpeg"
        assert top.desk.part(seen.signature_record)[0] == "image/svg+xml"
        codes = top.desk.summary()
        assert (codes["card"], codes["signature"], codes["right"], codes["left"]) == (
            "read",
            "given",
            "index",
            "index",
        )
        for record in ("request", "../../etc/passwd", "", seen.visit_id):
            with pytest.raises(Refused):
                top.desk.part(record)
        top.desk.leave()
        with pytest.raises(Refused):
            top.desk.part(seen.photo_record)
