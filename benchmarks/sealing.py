"""Sealing and durably storing an application, against the bare durable write of the same bytes, and peers.

Ours is counted from the officer's press until the application is kept and nobody can read its captures any
more, through the agent's own code (benchmarks/counter.py): captures decrypted, list
and certificates judged, parts made, sealed to two post-quantum recipients in three groups, digested, signed
twice, the packet written and flushed, its row, the journal's fact and the end of the visit's key in one
transaction, the slot overwritten.

Not in it is what the kit does before, in moments when nobody waits: file keys wrapped at the dry run, room
laid out for packet and log after a fact, digests of captures worked out when they were kept, and after the
last fact the draft of the packet: all of its manifest and texts that is known by then, laid out where it will
lie, and the captures' records as they lie in the vault, encrypted. `restarted` is when
the kit was switched off after the review: the officer has unlocked it and chosen the visit again.
`unprepared` is the worst: switched off, and then pressed before the kit had any quiet moment.

The bare write is what it takes for a new file to be there after a power cut: written under another name,
fsync, rename, fsync of the folder. It has no room laid out: whoever just writes a file has none. Peers do
less than ours (benchmarks/peers.py).
"""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.counter import Kit
from benchmarks.peers import peers, write_durably
from benchmarks.traced import Traced, trace

ROUNDS = 25
SIZES = (150_000, 2_000_000)
OURS = ("ours", "restarted", "unprepared")


@dataclass(frozen=True)
class SealingResult:
    """Medians in milliseconds; `ratios` are medians of each round's own ratio to the bare write."""

    bytes: int
    rounds: int
    ms: Mapping[str, float]
    cpu_ms: float
    ratios: Mapping[str, float]
    traced: Traced | None


def measure(folder: Path, size: int, rounds: int = ROUNDS) -> SealingResult:
    """All of them, turn about and in changing order, in `folder`, which lies on the disk that matters."""
    folder.mkdir()
    kit = Kit(folder / "kit")
    plain = os.urandom(size)
    others: dict[str, Callable[[], None]] = {"bare": lambda: write_durably(folder / "bare", plain)}
    others |= peers(folder, plain)
    seconds: dict[str, list[float]] = {name: [] for name in (*OURS, "after", *others)}
    cpu = []
    for turn in range(rounds):
        for name in [*OURS, *others] if turn % 2 else [*others, *OURS]:
            visit_id = kit.capture(size) if name in OURS else ""
            if name in ("restarted", "unprepared"):
                kit.forget()
            if name == "restarted":
                kit.take_up(visit_id)
            began, busy = time.perf_counter(), time.process_time()
            if name in OURS:
                kit.seal(visit_id)
            else:
                others[name]()
            seconds[name].append(time.perf_counter() - began)
            if name == "ours":
                cpu.append(time.process_time() - busy)
            if name in OURS:
                began = time.perf_counter()
                kit.settle()
                seconds["after"].append(time.perf_counter() - began)
    traced = trace(folder / "counted", size)
    return SealingResult(
        bytes=size,
        rounds=rounds,
        ms={name: 1000 * statistics.median(each) for name, each in seconds.items()},
        cpu_ms=1000 * statistics.median(cpu),
        ratios={
            name: statistics.median(a / b for a, b in zip(each, seconds["bare"], strict=True))
            for name, each in seconds.items()
            if name not in ("bare", "after")
        },
        traced=traced,
    )


def say(results: list[SealingResult]) -> None:
    for result in results:
        print(f"seal and store an application of {result.bytes:,} bytes (medians of {result.rounds})")
        for name, value in result.ms.items():
            times = f"{result.ratios[name]:>8.2f} times the bare write" if name in result.ratios else ""
            print(f"  {name:<44}{value:>9.2f} ms{times}")
        print(f"  {'processor time of ours':<44}{result.cpu_ms:>9.2f} ms")
        if result.traced is not None:
            found = result.traced
            print(f"  {'flushes until kept, and after':<44}{found.flushes:>6}, {found.flushes_after}")
            print(f"  {'bytes of captures written readable':<44}{found.plaintext:>6} of {found.canaries}")
