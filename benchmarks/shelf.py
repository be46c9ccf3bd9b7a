"""Sealing and storing an application with 10, 1,000 and 10,000 others waiting: it should cost the same.

A kit that has been without network for very long must not make an officer wait longer. Three kits seal turn
about, so that what else the machine does falls on all alike; the ratio is of each round's own times.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.counter import Kit
from protocol.ids import new_ulid

WAITING = (10, 1_000, 10_000)
SIZE = 150_000
ROUNDS = 30
MOST = 1.1  # times the time with the fewest waiting
AT_ONCE = 50


@dataclass(frozen=True)
class ShelfResult:
    """Medians, by how many applications wait: milliseconds, and times what it takes with the fewest."""

    bytes: int
    rounds: int
    ms: Mapping[int, float]
    ratios: Mapping[int, float]


def measure(folder: Path, waiting: tuple[int, ...] = WAITING, rounds: int = ROUNDS) -> ShelfResult:
    """`folder` lies on the disk that matters, with room for all that waits (1.7 GB)."""
    kits = {}
    for count in waiting:
        kits[count] = Kit(folder / str(count))
        fill(kits[count], count)
    seconds: dict[int, list[float]] = {count: [] for count in waiting}
    for turn in range(rounds):
        for count in waiting if turn % 2 else reversed(waiting):
            kit = kits[count]
            visit_id = kit.capture(SIZE)
            began = time.perf_counter()
            kit.seal(visit_id)
            seconds[count].append(time.perf_counter() - began)
            kit.settle()
    fewest = seconds[waiting[0]]
    return ShelfResult(
        bytes=SIZE,
        rounds=rounds,
        ms={count: 1000 * statistics.median(each) for count, each in seconds.items()},
        ratios={
            count: statistics.median(a / b for a, b in zip(each, fewest, strict=True))
            for count, each in seconds.items()
        },
    )


def fill(kit: Kit, count: int) -> None:
    """So many packets on the shelf, of random bytes: nobody reads them here, and sealing takes 10 ms each."""
    for begin in range(0, count, AT_ONCE):
        with kit.database.transaction() as tx:
            for _ in range(min(AT_ONCE, count - begin)):
                packet_id = new_ulid()
                kit.database.parcels.path(packet_id).write_bytes(os.urandom(SIZE))
                row = (packet_id, new_ulid(), os.urandom(32).hex(), SIZE)
                tx.execute("INSERT INTO packet VALUES (?, ?, ?, ?)", row)
        kit.database.settle()


def say(result: ShelfResult) -> None:
    print(f"seal and store an application of {result.bytes:,} bytes (medians of {result.rounds})")
    for count, value in result.ms.items():
        name = f"{count:,} others waiting"
        print(f"  {name:<44}{value:>9.2f} ms{result.ratios[count]:>8.2f} times (goal: at most {MOST})")


if __name__ == "__main__":
    build = Path("build")
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=build) as made:
        say(measure(Path(made)))
