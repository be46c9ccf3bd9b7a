"""Every screen of the kiosk, and how an officer gets there. Played through the kiosk's own doors."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from device.agent.snapshot import Gate, Link
from device.errors import Code, Remedy
from device.ports import Condition
from tests.device.kiosk.front import CARD, INK, OFFICERS, PIN, MemoryDesk


class Post(Protocol):
    """Sends a form as a page would; refusals are left to the screen."""

    def __call__(self, path: str, **fields: str) -> None: ...


class Play:
    """An officer at work: each method goes on from where the last one ended."""

    def __init__(self, desk: MemoryDesk, post: Post) -> None:
        self.desk = desk
        self.post = post

    def unlock(self) -> None:
        self.post("/unlock", officer="an.peeters", pin=PIN)

    def open(self) -> None:
        self.unlock()
        self.post(f"/visits/{self.desk.first}/open")

    def card_busy(self) -> None:
        self.open()
        self.post("/step/card/read")
        self.desk.progress(0.35, "reading-card")

    def who(self) -> None:
        self.card_busy()
        self.desk.finish()

    def inform(self) -> None:
        self.who()
        self.post("/step/card/seen")

    def procedure(self) -> None:
        self.inform()
        self.post("/step/inform", aloud="yes")

    def photo(self) -> None:
        self.procedure()
        self.post("/step/procedure", procedure="normal")

    def photo_busy(self) -> None:
        self.photo()
        self.post("/step/photo/take")
        self.desk.progress(0.5, "taking-photo")

    def photo_kept(self) -> None:
        self.photo_busy()
        self.desk.finish()

    def fingers(self) -> None:
        self.photo_kept()
        self.post("/step/photo/keep")

    def finger_busy(self, hand: str = "right") -> None:
        self.post("/step/fingers/take", hand=hand, finger="index")
        self.desk.progress(0.4, "reading-finger")

    def second_finger(self) -> None:
        self.fingers()
        self.finger_busy()
        self.desk.finish()

    def signature(self) -> None:
        self.second_finger()
        self.finger_busy("left")
        self.desk.finish()

    def signing(self) -> None:
        self.signature()
        self.post("/step/signature/start")
        self.desk.progress(0.5, "sign", INK)

    def review(self) -> None:
        self.signing()
        self.desk.finish()

    def seal(self) -> None:
        self.review()
        self.post("/step/review/confirm")

    def sealing(self) -> None:
        self.seal()
        self.post("/step/seal")

    def sealed(self) -> None:
        self.sealing()
        self.desk.finish()


def _wrong_pin(play: Play) -> None:
    play.post("/unlock", officer="an.peeters", pin="1111")


def _waiting(play: Play) -> None:
    play.desk.show(gate=Gate(OFFICERS, 0, 58))


def _nobody(play: Play) -> None:
    play.desk.show(gate=Gate((), 5, 0))


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


def _answered(verdict: str, code: str = "") -> Callable[[Play], None]:
    def play_it(play: Play) -> None:
        play.sealed()
        play.desk.answer(verdict, code)

    return play_it


def _abandoned(play: Play) -> None:
    play.photo()
    play.post("/abandon", reason="unwell")


SCENES: dict[str, tuple[Callable[[Play], None], str]] = {
    "unlock": (lambda play: None, "/"),
    "unlock-wrong": (_wrong_pin, "/"),
    "unlock-wait": (_waiting, "/"),
    "unlock-nobody": (_nobody, "/"),
    "visits": (Play.unlock, "/"),
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
    "abandon": (Play.photo, "/abandon"),
    "abandoned": (_abandoned, "/"),
    "problem": (Play.unlock, "/nowhere"),
}
"""Name of the screen: how to get there, and the address it is at."""
