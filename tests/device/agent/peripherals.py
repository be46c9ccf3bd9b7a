"""Peripherals for the desk's tests: they implement the ports, with results and bad luck set by the test."""

import secrets
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import TypeVar

from device.agent.captures import Openers
from device.errors import Code, KitError, Remedy
from device.ports import (
    Address,
    Capture,
    CardPhoto,
    CardReading,
    Condition,
    FingerImage,
    HolderProof,
    Identity,
    Photo,
    PinState,
    Presence,
    SignatureInk,
    Stroke,
    anybody,
)

NUMBER = "79041523148"
CANARIES = ("Vandekanarie", "Kanariestraat", NUMBER, "Kanariedorp")
"""Texts that must be found nowhere outside memory."""

IDENTITY = Identity(
    national_number=NUMBER,
    surname="Vandekanarie",
    first_names="Roos Maria",
    third_initial="J",
    nationality="Belg",
    birth_place="Kanariedorp",
    birth_date=date(1979, 4, 15),
    sex="F",
    noble_condition="",
    document_type=1,
    special_status=0,
    valid_from=date(2019, 5, 1),
    valid_to=date(2029, 5, 1),
    delivery_municipality="Brugge",
    duplicate="00",
)
READING = CardReading(
    verdict="verified",
    applet="1.8",
    card_number="592000000012",
    chip_number="0123456789ABCDEF0123456789ABCDEF",
    identity=IDENTITY,
    address=Address("Kanariestraat 1", "8000", "Kanariedorp"),
    photo=CardPhoto(b"\xff\xd8face-on-the-chip\xff\xd9", "00" * 32, 140, 200),
    genuine="proven",
    test_trust=True,
)
PHOTO = Photo(b"\xff\xd8passport-photo\xff\xd9", 826, 1062, {"sharpness": 41.5})


def finger_image(shade: int, hints: tuple[str, ...] = ()) -> FingerImage:
    return FingerImage(bytes([shade]) * 60 * 80, 60, 80, 500, {"area": 0.8}, hints, "fake")


INK = SignatureInk((Stroke(((10, 10), (200, 90), (340, 30))), Stroke(((350, 40),))), 400, 120, "fake")


S = TypeVar("S", bound="Scripted")


class Scripted:
    """The next capture does the next thing of the script; without script it succeeds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.script: deque[object] = deque()
        self.state = Condition("ok", model=f"Fake {name}", serial="1")
        self.opened = 0
        self.closed = 0
        self.began = threading.Event()
        self.release = threading.Event()

    def condition(self) -> Condition:
        return self.state

    def close(self) -> None:
        self.closed += 1

    def open(self) -> None:
        self.opened += 1

    def act(self, capture: Capture, usual: object) -> object:
        capture.progress(0.5, "working")
        step = self.script.popleft() if self.script else usual
        if isinstance(step, BaseException):
            raise step
        if step == "wait":  # a well-behaved driver: waits until cancelled or released
            self.began.set()
            while not self.release.is_set():
                if capture.cancel.wait(0.01):
                    raise KitError(Code.CANCELLED, Remedy.RETRY)
            return usual
        if step == "hang":  # a stuck one: hears nothing
            self.began.set()
            self.release.wait(20)
            return usual
        return step


PROOF = HolderProof(
    "proven",
    national_number=NUMBER,
    certificate=b"certificate",
    authority=b"authority",
    certificate_valid=True,
    signature=b"signature",
    scheme="ecdsa-p384-sha384",
    test_trust=True,
)


class Reader(Scripted):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.entries: list[tuple[bytes, bool]] = []

    def presence(self) -> Presence:
        return "card"

    def read(self, capture: Capture) -> CardReading:
        result = self.act(capture, READING)
        assert isinstance(result, CardReading)
        return result

    def pin_state(self, capture: Capture) -> PinState:
        result = self.act(capture, PinState(3, certificate="valid"))
        assert isinstance(result, PinState)
        return result

    def prove(
        self,
        pin: bytearray,
        capture: Capture,
        *,
        purpose: bytes = b"",
        last_try: bool = False,
        accept: Callable[[HolderProof], bool] = anybody,
    ) -> HolderProof:
        """As a card does, with a signature that nobody checks here."""
        self.entries.append((bytes(pin), last_try))
        pin[:] = bytes(len(pin))
        result = self.act(capture, replace(PROOF, challenge=purpose + bytes(32)))
        assert isinstance(result, HolderProof)
        holder = result if result.national_number else PROOF
        return result if accept(holder) else HolderProof("another-holder")


class CameraFake(Scripted):
    def preview(self) -> bytes:
        return b"\xff\xd8preview\xff\xd9"

    def capture(self, capture: Capture) -> Photo:
        result = self.act(capture, PHOTO)
        assert isinstance(result, Photo)
        return result


class Scanner(Scripted):
    shade = secrets.randbelow(200)

    def capture(self, capture: Capture) -> FingerImage:
        self.shade += 1
        result = self.act(capture, finger_image(self.shade))
        assert isinstance(result, FingerImage)
        return result


class Pad(Scripted):
    def capture(
        self, capture: Capture, ink: Callable[[SignatureInk], None], done: threading.Event
    ) -> SignatureInk:
        ink(replace(INK, strokes=INK.strokes[:1]))
        if self.script and self.script[0] == "sign":
            self.script.popleft()
            done.wait(5)
            return INK
        result = self.act(capture, INK)
        assert isinstance(result, SignatureInk)
        return result


class Bench:
    """The four on one table."""

    def __init__(self) -> None:
        self.card = Reader("card")
        self.camera = CameraFake("camera")
        self.fingerprint = Scanner("fingerprint")
        self.signature = Pad("signature")

    def openers(self) -> Openers:
        return Openers(
            card=lambda: _open(self.card),
            camera=lambda: _open(self.camera),
            fingerprint=lambda: _open(self.fingerprint),
            signature=lambda: _open(self.signature),
        )

    def release(self) -> None:
        for each in (self.card, self.camera, self.fingerprint, self.signature):
            each.release.set()


def _open(device: S) -> S:
    device.open()
    return device
