"""A desk in memory that lets a newcomer in, and the screens of officers who come and go."""

from collections.abc import Callable
from typing import Any

from device.agent.snapshot import Gate, KeyView, Officer
from device.errors import Code, KitError, Remedy

ELS, JAN = Officer("els.claes", "Lydia Claeys"), Officer("jan.maes", "Georges Maes")
CODE = "1234 5678 9012 3456 7890"
CHOSEN = "916273"


class Enrolling:
    """The part of a desk that takes codes, knows of security keys, may let nobody in; `enrolled`: who came,
    with which PIN; `shut`: why no PIN opens."""

    enrolled: tuple[tuple[str, str], ...] = ()
    has_key = False
    key: KeyView | None = None
    shut: Code | None = None

    def turn_away(self, code: Code | None) -> None:
        if code is not None:
            raise KitError(code, Remedy.OFFICER)

    def enrol(self, officer_id: str, code: str, pin: str) -> None:
        if officer_id != ELS.officer_id:
            raise KitError(Code.NO_ENROLMENT, Remedy.WORKSHOP)
        if code.replace(" ", "") != CODE.replace(" ", ""):
            raise KitError(Code.WRONG_ENROLMENT, Remedy.RETRY)
        self.enrolled = (*self.enrolled, (officer_id, pin))


def waiting(*officers: Officer) -> Callable[[Any], None]:
    def play_it(play: Any) -> None:
        play.unlock()
        play.desk.show(newcomers=officers)

    return play_it


def _refused(play: Any) -> None:
    waiting(ELS)(play)
    play.post("/newcomers", officer=ELS.officer_id, code="9" * 20, pin=CHOSEN, again=CHOSEN)


def _gate(**changes: bool) -> Callable[[Any], None]:
    def play_it(play: Any) -> None:
        play.desk.show(gate=Gate(play.desk.now().gate.officers, 5, 0, **changes))

    return play_it


NEWCOMERS: dict[str, tuple[Callable[[Any], None], str]] = {
    "unlock-list-ended": (_gate(list_ended=True), "/"),
    "unlock-clock": (_gate(clock_wrong=True), "/"),
    "unlock-clock-closed": (_gate(clock_wrong=True, closed=True), "/"),
    "unlock-removed": (_gate(removed=True), "/"),
    "visits-newcomer": (waiting(ELS), "/"),
    "newcomers": (waiting(ELS, JAN), "/newcomers"),
    "newcomer": (waiting(ELS), "/newcomers"),
    "newcomer-refused": (_refused, f"/newcomers/{ELS.officer_id}"),
    "newcomer-added": (waiting(), "/newcomers/added"),
}


def _sealing(*, asked: bool) -> Callable[[Any], None]:
    """An officer with a security key at the last step."""

    def play_it(play: Any) -> None:
        play.review()
        play.post("/step/review/confirm")
        play.desk.has_key, play.desk.key = True, KeyView("AAAA", "AAAA") if asked else None
        play.desk.show()

    return play_it


KEYS: dict[str, tuple[Callable[[Any], None], str]] = {
    "key": (waiting(), "/key"),
    "key-kept": (waiting(), "/key/kept"),
    "seal-with-key": (_sealing(asked=False), "/"),
    "seal-key": (_sealing(asked=True), "/"),
}
