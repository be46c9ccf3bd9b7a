"""Every screen of the kiosk, and how an officer gets there. Played through the kiosk's own doors."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from device.agent.snapshot import (
    Gate,
    Lease,
    Link,
    ParcelLine,
    PinView,
    Where,
)
from device.errors import Code, Remedy
from device.ports import Condition
from protocol.ids import new_ulid
from protocol.recapture import Part
from tests.catalogue import with_possession
from tests.device.kiosk.carrying import CARRYING
from tests.device.kiosk.front import PIN
from tests.device.kiosk.newcomers import KEYS, NEWCOMERS
from tests.device.kiosk.play import Play
from tests.device.kiosk.today import CARD, NOW, OFFICERS


def _wrong_pin(play: Play) -> None:
    play.post("/unlock", officer="an.peeters", pin="1111")


def _weak_pin(play: Play) -> None:
    play.unlock()
    play.post("/pin", old=PIN, pin="1111", again="1111")


def _wrong_code(play: Play) -> None:
    play.post("/forgotten", officer="an.peeters", code="12", pin="916273", again="916273")


def _waiting(play: Play) -> None:
    play.desk.show(gate=Gate(OFFICERS, 0, 58))


def _closed(play: Play) -> None:
    play.desk.show(gate=Gate(OFFICERS, 5, 0, closed=True))


def _closed_too_long(play: Play) -> None:
    play.desk.show(gate=Gate(OFFICERS, 5, 0, closed=True, destroyed=2))


def _short_lease(play: Play) -> None:
    play.unlock()
    play.desk.show(lease=Lease(enough_for_today=False, hours=5, visits=2), link=Link(False, 2, 4000, None))


def _stranded(play: Play) -> None:
    """A visit is planned with somebody who cannot open this kit."""
    play.unlock()
    play.desk.show(stranded=(NOW,))


def _for_today(play: Play) -> None:
    play.unlock()
    lease = Lease(enough_for_today=True, hours=17, visits=8, enough_for_tomorrow=False)
    play.desk.show(lease=lease, link=Link(False, 0, 0, None))


def _short_gate(play: Play) -> None:
    play.desk.show(lease=Lease(enough_for_today=False, hours=3, visits=8), link=Link(False, 0, 0, None))


def _spent(play: Play) -> None:
    """The hours of the lease go on, its visits are used up."""
    play.unlock()
    _spent_gate(play)


def _spent_gate(play: Play) -> None:
    play.desk.show(lease=Lease(enough_for_today=False, hours=40, visits=0), link=Link(False, 0, 0, None))


def _turned_away(code: Code, **gate: bool) -> Callable[[Play], None]:
    """An officer who gives the right PIN, and is not let in."""

    def play_it(play: Play) -> None:
        play.desk.show(gate=Gate(OFFICERS, 5, 0, **gate))
        play.desk.shut = code
        play.post("/unlock", officer="an.peeters", pin=PIN)

    return play_it


def _nobody(play: Play) -> None:
    play.desk.show(gate=Gate((), 5, 0))


def _own_card(play: Play) -> None:
    """An officer who signs in with the own eID as well."""
    play.desk.show(gate=Gate((replace(OFFICERS[0], card=True), OFFICERS[1]), 5, 0))


def _own_busy(play: Play) -> None:
    _own_card(play)
    play.post("/unlock/card", officer="an.peeters")


def _own(**said: object) -> Callable[[Play], None]:
    def play_it(play: Play) -> None:
        _own_busy(play)
        play.desk.own_card(**said)  # type: ignore[arg-type]

    return play_it


def _no_visits(play: Play) -> None:
    play.desk.empty()
    play.unlock()


def _troubled_list(play: Play) -> None:
    play.unlock()
    conditions = {**play.desk.now().peripherals}
    conditions["fingerprint"] = Condition("missing")
    conditions["camera"] = Condition("degraded")
    play.desk.show(peripherals=conditions, bag_date="2026-11-20", link=Link(False, 2, 4000, None))


def _failed(
    step: Callable[[Play], None], code: Code, remedy: Remedy, *reasons: str
) -> Callable[[Play], None]:
    def play_it(play: Play) -> None:
        step(play)
        play.desk.fail(code, remedy, *reasons)

    return play_it


def _pin_busy(play: Play) -> None:
    play.possession()
    play.post("/step/possession/ask")
    play.desk.progress(0.5, "starting")


def _pin_wrong(play: Play) -> None:
    play.pin_asked()
    play.desk.say_pin(2, said="wrong-pin")


def _pin(tries_left: int | None, certificate: str = "valid") -> Callable[[Play], None]:
    return lambda play: play.pin_asked(tries_left, certificate)


def _no_card_no_pin(play: Play) -> None:
    play.desk.entry = with_possession()
    play.open()
    play.post("/step/card/waive", reason="loss", document="annex12")
    play.post("/step/inform")


def _strictly_blocked(play: Play) -> None:
    play.desk.entry = with_possession('[possession]\nexceptions = ["no-card"]\n')
    play.inform()
    play.post("/step/inform")
    play.post("/step/possession/ask")
    play.desk.say_pin(0)


def _remarks(play: Play) -> None:
    play.card_busy()
    flags = ("card-expired", "weak-signature", "no-auth-certificate")
    play.desk.finish(replace(CARD, verdict="weak", flags=flags, genuine="unproven"))


def _finger_busy(play: Play) -> None:
    play.fingers()
    play.finger_busy()


def _without_prints(play: Play) -> None:
    play.open()
    play.post("/step/card/waive", reason="loss", document="annex12")
    play.post("/step/inform")
    play.post("/step/procedure", procedure="urgent")
    play.post("/step/photo/take")
    play.desk.finish()
    play.post("/step/photo/keep")
    for hand in ("right", "left"):
        play.post(
            "/step/fingers/except",
            hand=hand,
            fingers="all",
            reason="tremor",
            lasting="temporary",
            attest_seen="yes",
            confirm="yes",
        )
    play.post("/step/signature/except", reason="cannot")


def _refused_waiver(play: Play) -> None:
    play.open()
    play.post("/step/card/waive", reason="unreadable", document="police-attest")


def _uploading(play: Play) -> None:
    play.sealed()
    play.desk.send(0.4)


def _answered(verdict: str, code: str = "", *parts: Part) -> Callable[[Play], None]:
    def play_it(play: Play) -> None:
        play.sealed()
        play.desk.answer(verdict, code, *parts)

    return play_it


def _short(then: Callable[[Play], None]) -> Callable[[Play], None]:
    """A visit that only takes the photo anew."""

    def play_it(play: Play) -> None:
        play.desk.ask_anew("photo")
        then(play)

    return play_it


def _short_review(play: Play) -> None:
    play.who()
    play.post("/step/card/seen")
    play.post("/step/photo/take")
    play.desk.finish()


def _where(play: Play) -> None:
    play.desk.where = Where("deleted", NOW)
    _answered("accepted")(play)


def _away(play: Play) -> None:
    play.unlock()
    hour = timedelta(hours=1)
    play.desk.show(link=Link(True, 0, 0, None, outage=(NOW + 10 * hour, NOW + 12 * hour)))


def _waits(play: Play) -> None:
    """A network that wants a password, one application of this day and one that was refused."""
    play.unlock()
    lines = (
        ParcelLine(new_ulid(), "Maria Vandenbroucke", "queued", "", 10),
        ParcelLine(new_ulid(), "", "stopped", "kit-signature", 3),
    )
    play.desk.show(link=Link(False, 2, 600, None, "portal", lines))


def _shut_out(play: Play) -> None:
    play.desk.show(link=Link(False, 0, 0, None, "certificate-refused"))


def _abandoned(play: Play) -> None:
    play.photo()
    play.post("/abandon", reason="unwell")


SCENES: dict[str, tuple[Callable[[Play], None], str]] = {
    "unlock": (lambda play: None, "/"),
    "unlock-wrong": (_wrong_pin, "/"),
    "unlock-wait": (_waiting, "/"),
    "unlock-closed": (_closed, "/"),
    "unlock-refused": (_shut_out, "/"),
    "unlock-closed-too-long": (_closed_too_long, "/"),
    "unlock-blocked": (_turned_away(Code.PIN_BLOCKED), "/"),
    "unlock-other-device": (_turned_away(Code.OTHER_DEVICE), "/"),
    "unlock-ended": (_turned_away(Code.LEASE_ENDED, closed=True), "/"),
    "unlock-list-ended-pin": (_turned_away(Code.ROSTER_ENDED, list_ended=True), "/"),
    "unlock-clock-pin": (_turned_away(Code.LEASE_ENDED, closed=True, clock_wrong=True), "/"),
    "unlock-nobody": (_nobody, "/"),
    "unlock-own": (_own_card, "/"),
    "unlock-own-busy": (_own_busy, "/"),
    "unlock-own-pin": (_own(pin=PinView("e", 3, "valid", "")), "/"),
    "unlock-own-last": (_own(pin=PinView("e", 1, "valid", "wrong-pin")), "/"),
    "unlock-own-blocked": (_own(pin=PinView("e", 0, "valid", "pin-blocked")), "/"),
    "unlock-own-other": (_own(problem="other-card"), "/"),
    "unlock-own-removed": (_own(problem="card-removed"), "/"),
    "unlock-own-proven": (_own(proven=True), "/"),
    "visits": (Play.unlock, "/"),
    "visits-lease": (_short_lease, "/"),
    "visits-outage": (_away, "/"),
    "visits-stranded": (_stranded, "/"),
    "visits-for-today": (_for_today, "/"),
    "unlock-lease": (_short_gate, "/"),
    "visits-lease-spent": (_spent, "/"),
    "unlock-lease-spent": (_spent_gate, "/"),
    "pin": (Play.unlock, "/pin"),
    "pin-weak": (_weak_pin, "/pin"),
    "pin-changed": (Play.unlock, "/pin/changed"),
    "forgotten": (lambda play: None, "/forgotten"),
    "forgotten-code": (lambda play: None, "/forgotten/an.peeters"),
    "forgotten-refused": (_wrong_code, "/forgotten/an.peeters"),
    "forgotten-no-way": (lambda play: None, f"/forgotten/{OFFICERS[1].officer_id}"),
    "sending": (_waits, "/sending"),
    "sending-none": (Play.unlock, "/sending"),
    **CARRYING,
    **NEWCOMERS,
    **KEYS,
    "visits-empty": (_no_visits, "/"),
    "visits-troubled": (_troubled_list, "/"),
    "card": (Play.open, "/"),
    "card-busy": (Play.card_busy, "/"),
    "card-rejected": (
        _failed(
            Play.card_busy,
            Code.CARD_REJECTED,
            Remedy.OFFICER,
            "untrusted-root",
            "identity-signature",
            "photo-hash",
        ),
        "/",
    ),
    "card-removed": (_failed(Play.card_busy, Code.CARD_REMOVED, Remedy.RETRY), "/"),
    "card-waive": (Play.open, "/step/card/waive"),
    "card-waive-refused": (_refused_waiver, "/step/card/waive"),
    "who": (Play.who, "/"),
    "who-remarks": (_remarks, "/"),
    "inform": (Play.inform, "/"),
    "possession": (Play.possession, "/"),
    "possession-busy": (_pin_busy, "/"),
    "possession-pin": (_pin(3), "/"),
    "possession-pin-unknown": (_pin(None), "/"),
    "possession-wrong": (_pin_wrong, "/"),
    "possession-last": (_pin(1), "/"),
    "possession-blocked": (_pin(0), "/"),
    "possession-blocked-strictly": (_strictly_blocked, "/"),
    "possession-expired": (_pin(3, "expired"), "/"),
    "possession-kids": (_pin(None, "absent"), "/"),
    "possession-untrusted": (_pin(3, "untrusted"), "/"),
    "possession-no-card": (_no_card_no_pin, "/"),
    "possession-except": (Play.possession, "/step/possession/except"),
    "possession-removed": (_failed(_pin_busy, Code.CARD_REMOVED, Remedy.RETRY), "/"),
    "procedure": (Play.procedure, "/"),
    "photo": (Play.photo, "/"),
    "photo-busy": (Play.photo_busy, "/"),
    "photo-poor": (
        _failed(Play.photo_busy, Code.PHOTO_POOR, Remedy.RETRY, "too-dark", "blurred"),
        "/",
    ),
    "photo-kept": (Play.photo_kept, "/"),
    "fingers": (Play.fingers, "/"),
    "finger-busy": (_finger_busy, "/"),
    "finger-poor": (
        _failed(_finger_busy, Code.FINGER_POOR, Remedy.RETRY, "too-dry", "partial"),
        "/",
    ),
    "finger-gone": (_failed(_finger_busy, Code.PERIPHERAL_PROTOCOL, Remedy.WORKSHOP), "/"),
    "finger-second": (Play.second_finger, "/"),
    "fingers-except": (Play.fingers, "/step/fingers/except?hand=right"),
    "signature": (Play.signature, "/"),
    "signing": (Play.signing, "/"),
    "signature-empty": (_failed(Play.signing, Code.EMPTY_SIGNATURE, Remedy.RETRY), "/"),
    "signature-except": (Play.signature, "/step/signature/except"),
    "review": (Play.review, "/"),
    "review-exceptions": (_without_prints, "/"),
    "seal": (Play.seal, "/"),
    "sealing": (Play.sealing, "/"),
    "state-queued": (Play.sealed, "/"),
    "state-uploading": (_uploading, "/"),
    "state-accepted": (_answered("accepted"), "/"),
    "state-rejected": (_answered("rejected", "photo-unusable"), "/"),
    "state-recapture": (_answered("recapture", "photo-blurred", "photo", "signature"), "/"),
    "state-where": (_where, "/"),
    "short-visits": (_short(Play.unlock), "/"),
    "short-card": (_short(Play.open), "/"),
    "short-who": (_short(Play.who), "/"),
    "short-review": (_short(_short_review), "/"),
    "abandon": (Play.photo, "/abandon"),
    "abandoned": (_abandoned, "/"),
    "problem": (Play.unlock, "/nowhere"),
}
"""Name of the screen: how to get there, and the address it is at."""
