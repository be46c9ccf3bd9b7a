"""What can be done on the stage: each act by group and argument, and who does it."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue

import httpx

from provisioning.demo.cast import CITIZENS
from provisioning.demo.processes import ProgramFailed, Programs
from provisioning.demo.props import CLONE, TAMPERED
from provisioning.demo.stage import PLUGS, Hands, StageFailed
from provisioning.demo.troupe import order_service
from provisioning.demo.world import World

PATIENCE_S = 60.0
POWER = ("broker", "fleet", "service", "uplink", "agent")
ORDERS = ("accept", "reject:photo-unusable", "delay:15", "duplicate", "lose")
CARDS = (*(citizen.key for citizen in CITIZENS), TAMPERED, CLONE)
FINGERS: Mapping[str, tuple[int, int]] = {
    "right-index": (1, 1),
    "right-index-again": (1, 2),
    "left-index": (2, 1),
    "left-index-again": (2, 2),
    "right-middle": (3, 1),
    "left-middle": (4, 1),
}

Job = tuple[Callable[[], None], "Future[None]"]


class Acts:
    """Hands act at once. Starting and stopping programs is left to the demo's main thread, by `jobs`: a
    program ends with the thread that started it, and a thread of the page may end at any time."""

    def __init__(self, world: World, programs: Programs, hands: Hands) -> None:
        self.jobs: SimpleQueue[Job] = SimpleQueue()
        self.down: set[str] = set()  # stopped on purpose
        self._programs = programs
        self.groups: dict[str, dict[str, Callable[[], None]]] = {
            "insert": {card: partial(hands.insert, card, paced=True) for card in CARDS},
            "card": {"take-out": hands.take_out},
            "finger": {name: partial(hands.lay_finger, *where) for name, where in FINGERS.items()},
            "pen": {"sign": hands.sign, "when-asked": hands.sign_when_asked, "not": hands.do_not_sign},
            "unplug": {plug: partial(hands.unplug, plug) for plug in PLUGS},
            "plug": {plug: partial(hands.plug, plug) for plug in PLUGS},
            "stop": {name: partial(self._later, partial(self._stop, name)) for name in POWER},
            "start": {name: partial(self._later, partial(self._start, name)) for name in POWER},
            "service": {order: partial(order_service, world, order) for order in ORDERS},
        }
        self.groups["finger"]["lift"] = hands.lift_finger

    def knows(self, group: str, argument: str) -> bool:
        return argument in self.groups.get(group, {})

    def do(self, group: str, argument: str) -> str:
        """Do it; what went wrong, in the words of whoever refused, or "" when it is done."""
        try:
            self.groups[group][argument]()
        except (StageFailed, ProgramFailed, httpx.HTTPError, TimeoutError) as problem:
            return str(problem)
        return ""

    def _later(self, act: Callable[[], None]) -> None:
        done: Future[None] = Future()
        self.jobs.put((act, done))
        done.result(PATIENCE_S)

    def _stop(self, name: str) -> None:
        self.down.add(name)
        if self._programs.running(name):
            self._programs.kill(name)

    def _start(self, name: str) -> None:
        self.down.discard(name)
        if not self._programs.running(name):
            self._programs.stop(name)
            self._programs.again(name)
