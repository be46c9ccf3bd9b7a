"""An officer at work at the kiosk's own doors, one method a screen."""

from typing import Protocol

from tests.catalogue import with_possession
from tests.device.kiosk.front import PIN, MemoryDesk
from tests.device.kiosk.today import INK


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
        self.desk.progress(0.35, "reading-identity")

    def who(self) -> None:
        self.card_busy()
        self.desk.finish()

    def inform(self) -> None:
        self.who()
        self.post("/step/card/seen")

    def possession(self) -> None:
        """At a service that asks for the PIN."""
        self.desk.entry = with_possession()
        self.inform()
        self.post("/step/inform")

    def pin_asked(self, tries_left: int | None = 3, certificate: str = "valid") -> None:
        self.possession()
        self.post("/step/possession/ask")
        self.desk.say_pin(tries_left, certificate)

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
