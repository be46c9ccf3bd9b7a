"""`make mutation`: one mistake at a time in sealing, vault and lifecycle, and how many the tests notice.

    python -m tests.mutation [--rooms sealed,vault,lifecycle] [--sample N] [--seed N] [--least PERCENT]

Prints what survived, one a line, and the score of each room; exits 1 when a room is under `--least`.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.judge import Judge
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.rooms import ROOMS, Room

ROOT = Path(__file__).parent.parent.parent


def sources_of(room: Room, root: Path = ROOT) -> list[str]:
    """The Python files of a room, relative to `root`."""
    found = [
        p
        for each in room.sources
        for p in ([root / each] if each.endswith(".py") else (root / each).glob("*.py"))
    ]
    return sorted(str(path.relative_to(root)) for path in found)


def of_room(room: Room, root: Path = ROOT) -> list[Mutant]:
    """Every mutant but those that are known to change nothing."""
    every = [each for file in sources_of(room, root) for each in mutants(file, (root / file).read_text())]
    return [each for each in every if each.name not in EQUIVALENT]


def watch(name: str, room: Room, chosen: Sequence[Mutant], root: Path = ROOT) -> Counter[str]:
    """Judge the chosen mutants of a room; prints each that nobody noticed."""
    count: Counter[str] = Counter()

    def all_of_them(judge: Judge) -> None:
        if judge.seen.failed:
            print(f"{name}: left out, failing already: {judge.seen.failed}", flush=True)
        for mutant in chosen:
            verdict = judge.judge(mutant)
            count[verdict] += 1
            if verdict not in ("killed", "timeout"):
                print(f"{name}: {verdict}: line {mutant.line}: {mutant.name}", flush=True)

    judge = Judge(root, sources_of(room, root), all_of_them)
    with tempfile.TemporaryDirectory() as folder:
        options = ["-q", "--no-header", "-p", "no:cacheprovider", "-o", "timeout=0", f"--basetemp={folder}/t"]
        done = pytest.main([*options, *(str(root / each) for each in room.tests)], plugins=[judge])
    if done not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) or not judge.items:
        raise SystemExit(f"mutation: pytest could not go through {name}: {done!r}")
    return count


def main() -> int:
    parser = argparse.ArgumentParser(prog="mutation", description=__doc__)
    parser.add_argument("--rooms", default=",".join(ROOMS))
    parser.add_argument("--sample", type=int, default=100, help="mutants of each room; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=float, default=80.0)
    given = parser.parse_args()
    weak = False
    for name in given.rooms.split(","):
        began = time.monotonic()
        every = of_room(ROOMS[name])
        chosen = (
            every
            if given.sample == 0
            else random.Random(given.seed).sample(every, min(given.sample, len(every)))
        )
        count = watch(name, ROOMS[name], chosen)
        score = 100 * (count["killed"] + count["timeout"]) / max(len(chosen), 1)
        told = ", ".join(f"{count[each]} {each}" for each in ("killed", "timeout", "survived", "untested"))
        spent = f"{time.monotonic() - began:.0f} s"
        print(f"{name}: {score:.1f} % of {len(chosen)} (of {len(every)}): {told}; {spent}", flush=True)
        weak = weak or score < given.least
    return 1 if weak else 0


if __name__ == "__main__":
    sys.exit(main())
