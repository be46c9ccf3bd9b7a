"""A service that asks for a part again takes the supplement that brings it, and no other; each code once."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from competent.__main__ import app
from competent.behaviour import Behaviour, read_behaviour
from competent.intake import Intake, open_intake
from competent.ledger import Ledger
from protocol import signed
from protocol.ids import new_ulid
from protocol.instant import write_instant
from protocol.recapture import Part as Anew
from protocol.recapture import Supplements
from protocol.sealed.packet import Part, Sealed
from protocol.sealed.receipt import Receipt, verify_receipt
from protocol.sealed.supplement import CODES, Original, refusal
from tests.competent.place import NOW, Desk

MARIA, JOZEF = "41031299457", "38110299161"
LATER = write_instant(NOW + timedelta(days=15))


@dataclass
class Place:
    """A service around the desk, and the packets that come to it."""

    desk: Desk
    intake: Intake

    def order(self, what: str) -> None:
        self.intake.ledger.order(what, 1)

    def take(self, sealed: Sealed) -> Receipt:
        application, _ = self.intake.take(sealed.manifest.packet_id, sealed.data)
        key = self.intake.receipt_key.public_key()
        return verify_receipt(application.receipt, {signed.key_id(key): key})

    def whole(self, number: str = MARIA, **changes: object) -> Sealed:
        return self.desk.world.packet(
            parts(number, "photo.jpg"), **{"created_utc": write_instant(NOW), **changes}
        )

    def supplement(
        self,
        of: Sealed,
        names: tuple[str, ...] = ("photo.jpg",),
        anew: tuple[Anew, ...] = ("photo",),
        number: str = MARIA,
        **changes: object,
    ) -> Sealed:
        about = Supplements(packet_id=of.manifest.packet_id, parts=anew)
        members = {"created_utc": write_instant(NOW), "supplements": about, **changes}
        return self.desk.world.packet(parts(number, *names), **members)


def parts(number: str, *names: str) -> tuple[Part, ...]:
    identity = json.dumps({"identity": {"national_number": number}}).encode() if number else b"{}"
    made = [Part("identity.json", "application/json", identity)]
    return (*made, *(Part(name, "image/jpeg", name.encode() * 9) for name in names))


@pytest.fixture
def place(desk: Desk) -> Place:
    return Place(desk, open_intake(desk.trust, desk.keys, Ledger(desk.folder / "ledger.db"), None))


def test_a_service_asks_for_the_photo_and_accepts_the_supplement(place: Place) -> None:
    whole = place.whole()
    place.order("recapture:photo:photo-blurred")
    answer = place.take(whole)
    assert (answer.verdict, answer.code, answer.parts) == ("recapture", "photo-blurred", ("photo",))
    supplement = place.supplement(whole)
    assert place.take(supplement).verdict == "accepted"
    assert place.take(supplement).verdict == "accepted"  # brought twice, answered the same
    assert place.take(whole) == answer  # what was signed stays
    count = place.intake.ledger.count()
    assert (count.accepted, count.rejected, count.recapture, count.deliveries) == (1, 0, 1, 4)


def _asked(place: Place) -> Sealed:
    whole = place.whole()
    place.order("recapture:photo")
    place.take(whole)
    return whole


def _unknown(place: Place) -> Sealed:
    return place.supplement(place.whole())


def _of_supplement(place: Place) -> Sealed:
    whole = _asked(place)
    place.order("recapture:photo")
    first = place.supplement(whole)
    place.take(first)
    return place.supplement(first)


def _elsewhere(place: Place) -> Sealed:
    return place.supplement(_asked(place), tenant="0207458223")


def _not_asked(place: Place) -> Sealed:
    whole = place.whole()
    place.take(whole)
    return place.supplement(whole)


def _answered_before(place: Place) -> Sealed:
    whole = _asked(place)
    place.take(place.supplement(whole))
    return place.supplement(whole)


def _other_parts(place: Place) -> Sealed:
    return place.supplement(_asked(place), ("signature.png",), ("signature",))


def _more_parts(place: Place) -> Sealed:
    return place.supplement(_asked(place), ("photo.jpg", "signature.png"), ("photo", "signature"))


def _other_person(place: Place) -> Sealed:
    return place.supplement(_asked(place), number=JOZEF)


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("supplement-unknown", _unknown),
        ("supplement-of-supplement", _of_supplement),
        ("supplement-elsewhere", _elsewhere),
        ("supplement-not-asked", _not_asked),
        ("supplement-not-asked", _answered_before),
        ("supplement-parts", _other_parts),
        ("supplement-parts", _more_parts),
        ("supplement-other-person", _other_person),
    ],
)
def test_what_was_not_asked_is_refused_with_its_code(
    place: Place, code: str, make: Callable[[Place], Sealed]
) -> None:
    answer = place.take(make(place))
    assert (answer.verdict, answer.code) == ("rejected", code)
    assert code in CODES


def test_a_supplement_that_was_sealed_too_late_is_refused(place: Place) -> None:
    late = place.supplement(place.whole(), created_utc=LATER).manifest
    asked = Original(late.tenant, late.service_id, False, ("photo",), NOW + timedelta(days=14))
    assert refusal(late, asked) == "supplement-late"
    assert refusal(late, replace(asked, until=NOW + timedelta(days=15))) == "supplement-late"
    assert refusal(late, replace(asked, until=NOW + timedelta(days=15, seconds=1))) == ""


def test_a_refused_supplement_has_changed_nothing_and_the_right_one_is_taken(place: Place) -> None:
    whole = _asked(place)
    assert place.take(place.supplement(whole, number=JOZEF)).verdict == "rejected"
    assert place.take(place.supplement(whole)).verdict == "accepted"


def test_a_card_that_was_waived_has_no_number_to_compare(place: Place) -> None:
    whole = _asked(place)
    assert place.take(place.supplement(whole, number="")).verdict == "accepted"


def test_a_service_may_ask_again_and_then_waits_for_that(place: Place) -> None:
    whole = _asked(place)
    place.order("recapture:fingers:fingers-quality")
    again = place.take(place.supplement(whole))
    assert (again.verdict, again.parts) == ("recapture", ("fingers",))
    assert place.take(place.supplement(whole)).code == "supplement-parts"
    fingers = place.supplement(whole, ("finger-left-index.png",), ("fingers",))
    assert place.take(fingers).verdict == "accepted"
    assert place.take(place.supplement(whole)).code == "supplement-not-asked"


def test_the_service_keeps_no_number_of_anybody(place: Place) -> None:
    _asked(place)
    data = b"".join(path.read_bytes() for path in place.desk.folder.glob("ledger.db*"))
    assert MARIA.encode() not in data


@pytest.mark.parametrize(
    ("text", "parts", "code"),
    [
        ("recapture:photo", ("photo",), "photo-quality"),
        ("recapture:fingers+signature:damaged", ("fingers", "signature"), "damaged"),
        ("recapture:photo+fingers+signature", ("photo", "fingers", "signature"), "photo-quality"),
    ],
)
def test_an_order_names_the_parts(text: str, parts: tuple[Anew, ...], code: str) -> None:
    assert read_behaviour(text) == Behaviour("recapture", code=code, parts=parts)


@pytest.mark.parametrize(
    "text",
    [
        *("recapture", "recapture:", "recapture:face", "recapture:photo+photo", "recapture:signature+photo"),
        *("recapture:photo:", "recapture:photo:Why", "recapture:photo+", "recapture:photo:a:b"),
    ],
)
def test_another_order_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_behaviour(text)


def opened(
    place: Place, packet: Sealed, original: Sealed, asked: str, *more: str
) -> tuple[int, dict[str, object]]:
    files = {"asked.jws": asked.encode()}
    for name, data in files.items():
        (place.desk.folder / name).write_bytes(data)
    out = place.desk.folder / f"out-{new_ulid()}"
    arguments = [
        "--key",
        place.desk.keys / "current.age",
        "--trust",
        place.desk.trust,
        "--out",
        out,
        "--json",
    ]
    beside = ["--original", place.desk.file(original), "--asked", place.desk.folder / "asked.jws"]
    beside += ["--receipt-key", place.desk.keys / "receipt.key"]
    ran = CliRunner().invoke(app, list(map(str, [place.desk.file(packet), *arguments, *beside, *more])))
    assert out.exists() == (ran.exit_code == 0), ran.output
    return ran.exit_code, json.loads(ran.stdout)


def asking(place: Place, whole: Sealed) -> str:
    place.order("recapture:photo")
    return place.intake.take(whole.manifest.packet_id, whole.data)[0].receipt


def test_the_tool_opens_a_supplement_beside_its_application(place: Place) -> None:
    whole = place.whole()
    supplement = place.supplement(whole)
    status, answer = opened(place, supplement, whole, asking(place, whole))
    assert (status, answer["supplements"]) == (0, {"packet_id": whole.manifest.packet_id, "parts": ["photo"]})


def test_the_tool_opens_a_supplement_alone_and_says_that_it_is_one(place: Place) -> None:
    sealed, out = place.supplement(place.whole()), place.desk.folder / "alone"
    arguments = ["--key", place.desk.keys / "current.age", "--trust", place.desk.trust, "--out", out]
    ran = CliRunner().invoke(app, list(map(str, [place.desk.file(sealed), *arguments])))
    assert ran.exit_code == 0
    assert ran.stderr.startswith("SUPPLEMENT: ")
    half = CliRunner().invoke(
        app, list(map(str, [place.desk.file(sealed), *arguments, "--original", place.desk.file(sealed)]))
    )
    assert half.exit_code == 2


def _asked_twice(place: Place) -> tuple[Sealed, Sealed, str, str]:
    """The application, the supplement that did not do, and both receipts that asked."""
    whole = place.whole()
    first = asking(place, whole)
    supplement = place.supplement(whole)
    place.order("recapture:signature:signature-quality")
    return (
        whole,
        supplement,
        first,
        place.intake.take(supplement.manifest.packet_id, supplement.data)[0].receipt,
    )


def test_the_tool_opens_what_was_asked_the_second_time(place: Place) -> None:
    whole, first, _, asked = _asked_twice(place)
    second = place.supplement(whole, ("signature.png",), ("signature",))
    earlier = ("--earlier", str(place.desk.file(first)))
    status, answer = opened(place, second, whole, asked, *earlier)
    assert (status, answer.get("code")) == (0, None)
    assert place.take(second).verdict == "accepted"  # as the service itself judges
    old = place.supplement(whole)
    assert opened(place, old, whole, asked, *earlier)[1]["code"] == "supplement-parts"


def test_the_tool_asks_for_the_supplement_that_the_second_question_answers(place: Place) -> None:
    whole, first, before, asked = _asked_twice(place)
    second = place.supplement(whole, ("signature.png",), ("signature",))
    foreign = place.supplement(place.whole())
    files = {"first": first, "foreign": foreign, "whole": whole}
    for receipt, earlier, code in (
        (asked, "", "supplement-not-asked"),
        (before, "first", "supplement-not-asked"),  # the question before, which the second one replaced
        (asked, "foreign", "supplement-unknown"),
        (asked, "whole", "supplement-unknown"),
    ):
        more = ("--earlier", str(place.desk.file(files[earlier]))) if earlier else ()
        status, answer = opened(place, second, whole, receipt, *more)
        assert (status, answer["code"]) == (3, code)


def test_an_earlier_supplement_that_nobody_signed_is_refused(place: Place) -> None:
    whole, first, _, asked = _asked_twice(place)
    path = place.desk.file(first)
    path.write_bytes(path.read_bytes().replace(b'"retention_until":"2', b'"retention_until":"3', 1))
    status, answer = opened(place, place.supplement(whole), whole, asked, "--earlier", str(path))
    assert (status, answer["code"]) == (3, "kit-signature")


def _another(place: Place, whole: Sealed) -> Sealed:
    return place.supplement(place.whole())


def _signature(place: Place, whole: Sealed) -> Sealed:
    return place.supplement(whole, ("signature.png",), ("signature",))


def _late(place: Place, whole: Sealed) -> Sealed:
    return place.supplement(whole, created_utc=LATER)


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("supplement-unknown", _another),
        ("supplement-unknown", lambda place, whole: place.whole()),
        ("supplement-elsewhere", lambda place, whole: place.supplement(whole, tenant="0207458223")),
        ("supplement-parts", _signature),
        ("supplement-late", _late),
        ("supplement-other-person", lambda place, whole: place.supplement(whole, number=JOZEF)),
    ],
)
def test_the_tool_refuses_what_was_not_asked(
    place: Place, code: str, make: Callable[[Place, Sealed], Sealed]
) -> None:
    whole = place.whole()
    at = write_instant(datetime.now(UTC) + timedelta(days=20))
    status, answer = opened(place, make(place, whole), whole, asking(place, whole), "--at", at)
    assert (status, answer["code"]) == (3, code)


def test_the_tool_refuses_when_the_receipt_is_about_another_application(place: Place) -> None:
    whole, other = place.whole(), place.whole()
    status, answer = opened(place, place.supplement(whole), whole, asking(place, other))
    assert (status, answer["code"]) == (3, "supplement-not-asked")


def test_a_receipt_of_another_key_keeps_the_tool_from_working(place: Place) -> None:
    whole = place.whole()
    token = asking(place, whole)
    (place.desk.keys / "receipt.key").write_bytes((place.desk.keys / "list.key").read_bytes())
    status, answer = opened(place, place.supplement(whole), whole, token)
    assert (status, answer["code"]) == (1, "bad-receipt")
