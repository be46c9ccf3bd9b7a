"""An officer and a citizen who play one home visit at the kiosk, always doing what the screen asks for now.

Because it looks before every step, it goes on from wherever the visit is: after a restart of the agent it
gives its PIN again, as a person would.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from provisioning.demo.kiosk import Kiosk, KioskRefused, KioskSilent, State, said
from provisioning.demo.stage import Hands

HAND_FINGERS = {  # which of the emulated fingers plays which; the visit of the demo needs no others
    ("right", "index"): 1,
    ("left", "index"): 2,
    ("right", "middle"): 3,
    ("left", "middle"): 4,
}
CARD_PIN = "1234"  # of every card that the demo makes
CAPTURE_S = 60.0
INSERTED_S = 20.0
NOT_YET_IN = ("no-card", "card-removed")  # a busy reader may notice late that the card before was taken out
BAG_S = 40.0
ANSWER_S = 90.0
FINAL = ("accepted", "rejected", "recapture")


class StepFailed(Exception):
    """A step of the visit did not go well; the text names it."""


@dataclass(frozen=True)
class Role:
    """Who plays: the officer with the PIN, and the citizen's card for this visit."""

    officer_id: str
    pin: str
    visit_id: str
    card: str


@dataclass(frozen=True)
class Played:
    """One step as it went."""

    step: str
    seconds: float


Watcher = Callable[[str], None]
"""Called with the name of a step just before it is played, and again as `NAME:done` after it."""


class Player:
    def __init__(self, kiosk: Kiosk, hands: Hands, role: Role, watcher: Watcher | None = None) -> None:
        self._kiosk, self._hands, self._role = kiosk, hands, role
        self._watch = watcher or (lambda step: None)
        self._tries: dict[str, int] = {}

    def play(self, tell: Callable[[Played], None], patience: int = 1) -> State:
        """Play until the application is answered. Each step may be begun `patience` times: with more than
        one, a step that fails is looked at again, as one would after a power cut.

        StepFailed names the step that did not go well."""
        while True:
            state = self._look()
            if state["place"] == "state" and (state["abandoned"] or state["sealed"] in FINAL):
                return state
            step, act = self._due(state)
            self._tries[step] = self._tries.get(step, 0) + 1
            if self._tries[step] > patience:
                raise StepFailed(f"{step}: the kiosk asks for it again ({said(state)})")
            began = time.monotonic()
            self._watch(step)
            try:
                act()
            except (KioskRefused, KioskSilent) as problem:
                if self._tries[step] >= patience:
                    raise StepFailed(f"{step}: {problem}") from problem
                continue
            tell(Played(step, time.monotonic() - began))
            self._watch(f"{step}:done")

    def _look(self) -> State:
        try:
            return self._kiosk.wait(lambda state: state["busy"] is None, CAPTURE_S)
        except KioskSilent as problem:
            raise StepFailed(f"waiting for the screen: {problem}") from problem

    def _due(self, state: State) -> tuple[str, Callable[[], None]]:
        """What this screen asks for: the step's name, and how to play it."""
        place = state["place"]
        if place == "failure":
            return f"read the failure {state['failure']['code']}", lambda: self._kiosk.post("/dismiss")
        if place == "fingers":
            hand = next(each for each in state["hands"] if each["wanted"])
            name = f"{hand['hand']} {hand['wanted']} finger"
            return name, lambda: self._finger(hand["hand"], hand["wanted"])
        simple: dict[str, tuple[str, Callable[[], None]]] = {
            "unlock": ("unlock", self._unlock),
            "visits": ("choose the visit", self._choose),
            "card": ("read the card", self._card),
            "inform-who": ("check who it is", lambda: self._kiosk.post("/step/card/seen")),
            "inform": ("inform the citizen", lambda: self._kiosk.post("/step/inform")),
            "possession": (
                "ask the card about its PIN",
                lambda: self._capture("/step/possession/ask"),
            ),
            "possession-pin": ("the citizen gives the PIN", lambda: self._pin(state)),
            "procedure": ("choose the procedure", self._procedure),
            "photo": ("take the photo", lambda: self._capture("/step/photo/take")),
            "fingers-kept": ("keep the photo", lambda: self._kiosk.post("/step/photo/keep")),
            "signature": ("sign", self._sign),
            "review": ("review by the citizen", lambda: self._kiosk.post("/step/review/confirm")),
            "seal": ("seal", lambda: self._capture("/step/seal")),
            "state": ("upload, forward, receipt", self._answer),
        }
        if place not in simple:
            raise StepFailed(f"a screen that nobody expects: {said(state)}")
        return simple[place]

    def _unlock(self) -> None:
        self._kiosk.post("/unlock", officer=self._role.officer_id, pin=self._role.pin)

    def _choose(self) -> None:
        """Wait until the day bag with the visit has come, then open it."""
        visit_id = self._role.visit_id

        def listed(state: State) -> bool:
            return any(line["visit_id"] == visit_id for line in state.get("visits", ()))

        self._kiosk.wait(listed, BAG_S)
        self._kiosk.post(f"/visits/{visit_id}/open")

    def _card(self) -> None:
        """Insert the card and have it read; a reader notices a card within half a second, not at once."""
        self._hands.insert(self._role.card, paced=True)
        deadline = time.monotonic() + INSERTED_S
        while True:
            self._kiosk.post("/step/card/read")
            state = self._kiosk.wait(lambda state: state["busy"] is None, CAPTURE_S)
            if state.get("failure") is None:
                return
            if state["failure"]["code"] not in NOT_YET_IN or time.monotonic() > deadline:
                raise KioskSilent(said(state))
            self._kiosk.post("/dismiss")

    def _pin(self, state: State) -> None:
        self._capture("/step/possession/enter", pin=CARD_PIN, entry=state["pin"]["entry"])

    def _procedure(self) -> None:
        self._kiosk.post("/step/procedure", procedure="normal")

    def _finger(self, hand: str, finger: str) -> None:
        self._hands.lay_finger(HAND_FINGERS[hand, finger])
        try:
            self._capture("/step/fingers/take", hand=hand, finger=finger)
        finally:
            self._hands.lift_finger()

    def _sign(self) -> None:
        self._hands.sign_when_asked()
        self._capture("/step/signature/start")

    def _answer(self) -> None:
        self._kiosk.wait(lambda state: state["sealed"] in FINAL or state["place"] != "state", ANSWER_S)

    def _capture(self, path: str, **fields: Any) -> None:
        """Start a capture and wait until it is over; a failure of it is the step's."""
        self._kiosk.post(path, **fields)
        state = self._kiosk.wait(lambda state: state["busy"] is None, CAPTURE_S)
        if state.get("failure") is not None:
            raise KioskSilent(said(state))
