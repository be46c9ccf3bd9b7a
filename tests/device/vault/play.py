"""A program that founds a kit in a folder and does visits at its desk, telling what has been acknowledged.

`python -m tests.device.vault.play do FOLDER WORDS VISITS [SYNCHRONOUS]`. Every landmark the desk passes is
appended to the file WORDS after it is passed, so what stands there had been said to the officer: the desk
moves on only afterwards. It is written with `pwrite`, which a recorder of the vault's writes sees in order.
SYNCHRONOUS weakens the database once the kit is founded, for tests of the tests.

`python -m tests.device.vault.play resume KIT_TOML VISIT...` goes on with visits of such a kit, to their end.
"""

import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from device.agent.events import Abandon, Redo
from device.vault import database, keys
from protocol.bag import BagVisit
from tests.device.agent import crashing
from tests.device.agent.kit import OFFICER, PIN, Desktop, Kit
from tests.device.agent.peripherals import PHOTO
from tests.device.agent.test_crash import free_port
from tests.device.agent.test_outgoing import bring_receipt

DONE = b"done\n"
NO_PORT = 9  # of a kiosk that is never opened


class Words:
    """The file of what was said."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._end = 0

    def say(self, word: bytes) -> None:
        self._end += os.pwrite(self._file, word, self._end)

    def __call__(self, landmark: str) -> None:
        self.say(landmark.encode() + b"\n")


def quick_pins() -> None:
    """Argon2id at its smallest: what is tried here is the disk."""
    keys.MEMORY_KIB, keys.ITERATIONS = 64, 1


def weaken(level: str) -> None:
    database._SETTINGS = tuple(
        f"PRAGMA synchronous={level}" if "synchronous" in setting else setting
        for setting in database._SETTINGS
    )


def play(kit: Kit, words: Words, count: int) -> None:
    """`count` visits: in turn answered, abandoned, sealed only, and left open."""
    visits = [kit.visit() for _ in range(count)]
    kit.bring_bag(*visits)
    ends = (answered, abandoned, sealed, left_open)
    with Desktop(kit, passed=words) as top:
        top.desk.unlock(OFFICER, PIN)
        for n, visit in enumerate(visits):
            ends[n % len(ends)](top, visit)
    words.say(DONE)


def answered(top: Desktop, visit: BagVisit) -> None:
    packet_id = sealed(top, visit)
    bring_receipt(top.kit, packet_id, top.kit.service.answer(top.packet(packet_id)))
    top.until(lambda now: now.visit and now.visit.sealed == "accepted" and not top.spool.receipts())


def sealed(top: Desktop, visit: BagVisit) -> str:
    do(top, visit, None)
    seen = top.until(lambda now: now.visit and now.visit.sealed).visit
    assert seen is not None
    return seen.packet_id


def abandoned(top: Desktop, visit: BagVisit) -> None:
    do(top, visit, "review")
    top.desk.wish(Abandon("unwell"))


def left_open(top: Desktop, visit: BagVisit) -> None:
    do(top, visit, "signature")


def do(top: Desktop, visit: BagVisit, until: str | None) -> None:
    """Every step before this one, with a photo that is taken back once."""
    top.bench.camera.script.append(replace(PHOTO, jpeg=os.urandom(60_000)))
    top.desk.choose(visit.visit_id)
    steps: list[Callable[[], object]] = list(top.steps())
    steps[4:4] = [lambda: top.desk.wish(Redo("photo")), steps[3]]
    for step in steps:
        seen = top.desk.now().visit
        assert seen is not None
        if seen.step == until:
            return
        step()
        assert top.desk.now().failure is None, top.desk.now().failure


def main(folder: str, words: str, count: str, synchronous: str = "") -> None:
    said = Words(Path(words))
    kit = Kit(Path(folder))
    kit.write_config(NO_PORT)
    os.sync()  # configuration and certificates, as the image brings them
    if synchronous:
        weaken(synchronous)
    play(kit, said, int(count))


def resume(config: str, *visits: str) -> None:
    """As the kit's own program does, from its configuration."""
    path = Path(config)
    for visit_id in visits:
        path.write_text(re.sub(r"(?m)^port = \d+$", f"port = {free_port()}", path.read_text()))
        crashing.do(config, visit_id, "nowhere", "1")


if __name__ == "__main__":
    quick_pins()
    {"do": main, "resume": resume}[sys.argv[1]](*sys.argv[2:])
