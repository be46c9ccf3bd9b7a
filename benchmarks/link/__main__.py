"""`python -m benchmarks.link [--seeds N] [--peers N]` (root): our uploader, and others, over bad links.

Times are over the limit of the link (`ours.limit_s`), bytes up over the payload, with what the link lost of
them: a short run in bursts loses more or less than its share. Ours goes twice: at the end of a visit, when
the uplink knows that a packet is near and has a connection ready, and from nothing, as the limit is reckoned.
JSON: build/bench-link.json.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.link import fleet
from benchmarks.link.emulator import RIGHT, Weather
from benchmarks.link.ours import STAMPS, Emulator, Kit, least, limit_s, of_kit
from benchmarks.link.peers import PATIENCE_S, Peers

READY, ALONE = "thuisloket", "from nothing"
OURS = {READY: "ready", ALONE: "alone"}
WEATHERS: dict[str, tuple[int, Weather]] = {
    "clean": (600_000, Weather()),
    "2 % lost": (600_000, Weather(loss=0.02)),
    "5 % lost in bursts": (600_000, Weather(loss=0.05, burst=3)),
    "7 s up, 4 s down": (900_000, Weather(loss=0.02, up_s=7, down_s=4, forgets=True)),
}
START_S = 120.0


@dataclass(frozen=True)
class Goal:
    """Over the limit of the link in the middle and in the worst run, and bytes up over the payload. Only with
    gaps may the worst run be worse than the middle one has to be."""

    middle: float
    worst: float
    carried: float


GOALS = {
    **dict.fromkeys(("clean", "2 % lost", "5 % lost in bursts"), Goal(1.05, 1.05, 1.10)),
    "7 s up, 4 s down": Goal(1.12, 1.25, 1.12),
}
RESUMED_S = 1.0 + 3 * Weather().rtt_s
SHORT = 2  # seeds of each weather for `make bench`, the first one with the peers: twelve minutes, 27 at worst


@dataclass(frozen=True)
class Run:
    weather: str
    who: str
    seed: int
    seconds: float
    limit_s: float
    bytes_up: float  # over the payload; so are these two
    lost: float = 0.0  # of them by the link
    unfit: float = 0.0  # sent into a gap, on a flow that the link forgot, into a full queue
    own_limit_s: float = 0.0  # with what was lost in this run
    end_s: float = 0.0  # from the last payload that left: half a round trip, the far end's work, the answer
    resumed_s: tuple[float, ...] = ()  # after each gap, until payload went again
    refused: str = ""
    shares: tuple[tuple[str, float], ...] = ()  # of the bytes up, over the payload

    @property
    def ratio(self) -> float:
        return self.seconds / self.limit_s

    @property
    def told(self) -> dict[str, object]:
        """For JSON, which has no infinity: None for what never got there."""
        return asdict(self) | {"seconds": self.seconds if isfinite(self.seconds) else None}


def measure(
    folder: Path, name: str, seeds: range, peer_seeds: int, ways: Sequence[str] = tuple(OURS)
) -> list[Run]:
    """Some seeds of one weather. Each seed: ours (`ways` of them), then (the first `peer_seeds`) the peers,
    on the very same losses."""
    size, weather = WEATHERS[name]
    site, link = fleet.Fleet(folder / "fleet"), Emulator(f"bench{os.getpid()}", weather)
    kernel = of_kit()
    peers = Peers(folder, site.folder, link) if peer_seeds else None
    runs: list[Run] = []
    try:
        site.start(link.right)
        wait_for(link.right)
        kit = Kit(folder, site, link.left)
        try:
            for seed in (-1, *seeds):  # the first makes the programs warm, and does not count
                for who in (*ways, *(Peers.NAMES if seeds.start <= seed < seeds.start + peer_seeds else ())):
                    packet_id, data = site.packet(size)
                    path = folder / "packet"
                    path.write_bytes(data)
                    link.tune(kernel if who in OURS else {STAMPS: "1"})
                    if who in OURS:
                        kit.be(OURS[who])
                    time.sleep(1.0)  # what is still on its way gets there
                    link.again(seed)
                    answer = kit.send(packet_id, path) if who in OURS else {}
                    seconds = answer["seconds"] if who in OURS or peers is None else peers.send(who, path)
                    ended = time.monotonic()
                    if seed >= 0:
                        found = link.count()["up"]
                        found["end_s"] = ended - found["ended"]
                        runs.append(_run(name, who, seed, seconds, len(data), found, answer))
        finally:
            kit.stop()
    finally:
        if peers is not None:
            peers.stop()
        site.stop()
        link.stop()
    return runs


def _run(
    name: str,
    who: str,
    seed: int,
    seconds: float,
    size: int,
    up: Mapping[str, Any],
    answer: Mapping[str, Any],
) -> Run:
    weather, lost = WEATHERS[name][1], up["lost_bytes"] / size
    return Run(
        weather=name,
        who=who,
        seed=seed,
        seconds=seconds,
        limit_s=limit_s(size, weather),
        bytes_up=up["bytes"] / size,
        lost=lost,
        unfit=up["unfit_bytes"] / size,
        own_limit_s=limit_s(size, weather, lost),
        end_s=up["end_s"],
        resumed_s=tuple(up["resumed"]),
        refused=answer.get("refused", ""),
        shares=(
            *((name, up[name] / size) for name in ("headers", "again", "spare", "bare")),
            ("words", up["fresh"] / size - 1),
        ),
    )


def wait_for(namespace: str) -> None:
    """Until the listener answers. RuntimeError when it never does."""
    until = time.monotonic() + START_S
    look = ["ip", "netns", "exec", namespace, "sh", "-c", f"ss -ltnH src {RIGHT}:{fleet.PORT} | grep -q ."]
    while subprocess.run(look, check=False).returncode:
        if time.monotonic() > until:
            raise RuntimeError("the fleet's listener does not start; see fleet.log")
        time.sleep(0.2)


def say(runs: list[Run]) -> None:
    for who in dict.fromkeys(run.who for run in runs):
        own = [run for run in runs if run.who == who]
        ratios = sorted(run.ratio for run in own)
        carried = median(run.bytes_up for run in own)
        if not isfinite(median(ratios)):
            late = sum(not isfinite(ratio) for ratio in ratios)
            print(
                f"  {who:<16} not there in {PATIENCE_S:.0f} s, {late} of {len(own)}   bytes up {carried:5.3f}"
            )
            if who == READY:
                _judge(own, ratios, carried)
            continue
        print(
            f"  {who:<16} of the limit: median {median(ratios):6.3f}  worst {ratios[-1]:6.3f}"
            f"   bytes up {carried:5.3f}   median {median(run.seconds for run in own):6.2f} s"
        )
        fair = sorted(run.seconds / run.own_limit_s for run in own)
        kernel = of_kit() if who in OURS else {}
        floor, unfit = median(least(run.lost, kernel) for run in own), median(run.unfit for run in own)
        print(
            f"  {'':<16} of each run's own: median {median(fair):6.3f}  worst {fair[-1]:6.3f}"
            f"   the least possible {floor:5.3f}, in vain {unfit:5.3f}"
        )
        shares = {share: median(dict(run.shares)[share] for run in own) for share, _ in own[0].shares}
        print(f"  {'':<16} {', '.join(f'{share} {part:.4f}' for share, part in shares.items())}")
        ends = sorted(run.end_s for run in own)
        print(f"  {'':<16} behind the last payload: median {median(ends):5.2f} s  worst {ends[-1]:5.2f} s")
        if who == READY:
            _judge(own, ratios, carried)


def _judge(own: list[Run], ratios: list[float], carried: float) -> None:
    goal = GOALS[own[0].weather]
    judged = [
        ("median", median(ratios), goal.middle),
        ("worst", ratios[-1], goal.worst),
        ("bytes up", carried, goal.carried),
    ]
    resumed = [seconds for run in own for seconds in run.resumed_s]
    if resumed:
        judged.append(("payload after a gap, worst, s", max(resumed), RESUMED_S))
    for what, value, most in judged:
        word = "met" if value <= most else "MISSED"
        print(f"  {'':<16} {what} {value:.3f}, goal {most:.2f}: {word}")


def short() -> list[Run]:
    """A few seeds of each weather, said as they come."""
    found: list[Run] = []
    for name in WEATHERS:
        with tempfile.TemporaryDirectory(prefix="tl-") as folder:
            runs = measure(Path(folder), name, range(SHORT), peer_seeds=1)
        print(f"over a bad link: {name}, {SHORT} seeds (`python -m benchmarks.link` for all)")
        say(runs)
        found += runs
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--peers", type=int, default=0, help="seeds in which the others go as well")
    parser.add_argument("--only", choices=sorted(WEATHERS), default="")
    parser.add_argument("--ways", nargs="*", choices=tuple(OURS), default=tuple(OURS))
    words = parser.parse_args()
    found: list[Run] = []
    for name, (size, weather) in WEATHERS.items():
        if words.only in ("", name):
            stamps = of_kit()[STAMPS]
            print(
                f"{name}: {size:,} bytes, limit {limit_s(size, weather):.2f} s, {STAMPS}={stamps}", flush=True
            )
            with tempfile.TemporaryDirectory(prefix="tl-") as folder:
                seeds = range(words.first, words.first + words.seeds)
                runs = measure(Path(folder), name, seeds, words.peers, words.ways)
            say(runs)
            found += runs
    build = Path("build")
    build.mkdir(exist_ok=True)
    (build / "bench-link.json").write_text(json.dumps([run.told for run in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
