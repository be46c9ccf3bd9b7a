"""The screen for carrying by hand, in every state."""

from collections.abc import Callable
from typing import Any

from device.agent.snapshot import Courier, Errand, StickLine

STICK = StickLine("USB", 2, 1, 7_400, "ready")


def _carrying(errand: Errand | None, *sticks: StickLine, waiting: int = 3) -> Callable[[Any], None]:
    def play_it(play: Any) -> None:
        play.unlock()
        play.post("/courier")
        play.desk.show(courier=Courier(sticks, errand, waiting))

    return play_it


CARRYING: dict[str, tuple[Callable[[Any], None], str]] = {
    "carry-none": (_carrying(None), "/"),
    "carry": (_carrying(None, STICK), "/"),
    "carry-two": (_carrying(None, STICK, StickLine("KINGSTON", 0, 0, 0, "unreadable"), waiting=0), "/"),
    "carry-running": (_carrying(Errand("export", "USB", "running", 1, 3, 1), STICK), "/"),
    "carry-done": (_carrying(Errand("export", "USB", "done", 3, 3, 2, 0, 1), STICK), "/"),
    "carry-taken-in": (
        _carrying(
            Errand("import", "USB", "done", 9, 9, 2, 1, 1, 1, ("damaged", "suspect", "damaged")), STICK
        ),
        "/",
    ),
    "carry-pulled": (_carrying(Errand("export", "USB", "failed", 1, 3, 1, problem="gone")), "/"),
}
