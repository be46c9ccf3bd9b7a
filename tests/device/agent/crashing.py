"""A program that does whole visits at a desk built from kit.toml, and dies without a word at a landmark.

It reads jobs from stdin, one a line: KIT_TOML VISIT_ID LANDMARK NTH, separated by tabs. Each is done by a
child that exits 9 at the NTH passage of the landmark, as a power cut would, or 0 when it never came there;
the exit code is printed.
"""

import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from device.__main__ import build
from device.agent import log
from device.agent.desk import Desk
from device.agent.events import ChooseProcedure, Inform, Review
from device.agent.landmarks import Landmark
from device.config import load
from device.drivers.registry import Drivers
from tests.device.agent.kit import OFFICER, PIN
from tests.device.agent.peripherals import Bench

DIED = 9


class Executioner:
    def __init__(self, landmark: str, nth: int) -> None:
        self._landmark = landmark
        self._left = nth

    def __call__(self, landmark: Landmark) -> None:
        if landmark == self._landmark:
            self._left -= 1
            if self._left == 0:
                os._exit(DIED)


def capture(desk: Desk, what: str, hand: str | None = None) -> None:
    desk.start(what, hand)  # type: ignore[arg-type]
    seen = desk.now()
    while seen.busy is not None:
        seen = desk.after(seen.version, 1)
    assert seen.failure is None, seen.failure


def go_on(desk: Desk, visit_id: str) -> None:
    """From wherever the visit is to its end, as an officer would."""
    desk.unlock(OFFICER, PIN)
    desk.choose(visit_id)
    steps = {
        "card": lambda: capture(desk, "card"),
        "inform": lambda: desk.wish(Inform("eid-info", "nl", aloud=False)),
        "procedure": lambda: desk.wish(ChooseProcedure("normal")),
        "photo": lambda: capture(desk, "photo"),
        "signature": lambda: capture(desk, "signature"),
        "review": lambda: desk.wish(Review("nl")),
        "seal": lambda: capture(desk, "seal"),
    }
    while True:
        visit = desk.now().visit
        assert visit is not None
        if visit.step is None:
            return
        if visit.step == "fingers":
            capture(desk, "finger", next(hand.hand for hand in visit.hands if hand.wanted))
        else:
            steps[visit.step]()


def do(config_path: str, visit_id: str, landmark: str, nth: str) -> None:
    bench = Bench().openers()
    config = replace(
        load(Path(config_path)),
        drivers=Drivers(bench.card, bench.camera, bench.fingerprint, bench.signature),
    )
    agent = build(config, Executioner(landmark, int(nth)))
    agent.start()
    if visit_id:
        go_on(agent.desk, visit_id)
    else:  # only the spool is looked at
        agent.desk.after(agent.desk.now().version, 3)
    agent.stop()


def main() -> None:
    log.configure()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                do(*line.rstrip("\n").split("\t"))
            except BaseException:  # noqa: BLE001  the child's last word
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
