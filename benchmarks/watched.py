"""Programs watched while they work: what memory they hold as time goes by, what processor they take."""

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

LOOK_S = 2.0
PAGE, TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")


@dataclass
class Watched:
    """`looks`: seconds since the beginning, and resident MB by name (of a program and what it forked);
    `shares`: of one processor, over the whole time."""

    looks: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    shares: dict[str, float] = field(default_factory=dict)

    def by(self, step_s: float) -> list[tuple[float, dict[str, float]]]:
        """One look a step, and the last."""
        steps: dict[int, tuple[float, dict[str, float]]] = {}
        for at, held in self.looks:
            steps.setdefault(int(at // step_s), (at, held))
        return [*steps.values(), *self.looks[-1:]]

    def say(self, step_s: float) -> None:
        names = sorted(self.shares)
        print("  resident MB after" + "".join(f"{name:>12}" for name in names))
        for at, held in self.by(step_s):
            print(f"    {at:10.0f} s   " + "".join(f"{held.get(name, 0.0):12.1f}" for name in names))
        print("  of a processor   " + "".join(f"{self.shares[name]:12.2f}" for name in names))


@contextmanager
def watching(programs: Mapping[str, Sequence[int]]) -> Iterator[Watched]:
    """Look at these processes, by name, every LOOK_S until the end of the block."""
    watched, over, began = Watched(), threading.Event(), time.monotonic()
    before = {name: sum(map(processor_s, pids)) for name, pids in programs.items()}

    def look() -> None:
        while True:
            held = {name: sum(map(_resident, pids)) / 1e6 for name, pids in programs.items()}
            watched.looks.append((time.monotonic() - began, held))
            if over.wait(LOOK_S):
                return

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield watched
    finally:
        over.set()
        watcher.join()
        took = time.monotonic() - began
        for name, pids in programs.items():
            watched.shares[name] = (sum(map(processor_s, pids)) - before[name]) / took


def processor_s(pid: int) -> float:
    """Seconds of processor time a process has used; nothing once it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except OSError:  # it ended, or was replaced
        return 0
