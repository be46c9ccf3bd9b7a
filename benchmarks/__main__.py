"""`python -m benchmarks` (`make bench`): all measurements as tables, and as JSON in build/bench.json.

Each part is a process of its own, and what it has measured is kept at once: one that fails takes no other
with it, and makes the whole fail at the end. The modules have longer forms.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import card, ingest, load, sealing, unlock, visit
from benchmarks.link import __main__ as links
from benchmarks.link import telemetry

BUILD = Path("build")
RESULTS = BUILD / "bench.json"
TUN = Path("/dev/net/tun")


class NotHere(Exception):
    """This machine cannot measure it: why."""


def _sealing() -> Any:
    with tempfile.TemporaryDirectory(prefix="bench-", dir=BUILD) as folder:  # on a disk
        sealed = [sealing.measure(Path(folder) / str(size), size) for size in sealing.SIZES]
    sealing.say(sealed)
    return [asdict(each) for each in sealed]


def _visit() -> Any:
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:  # short: unix sockets lie in it
        played = visit.measure(Path(folder), BUILD / "portrait.jpg")
    print("one whole visit, headless")
    for step, seconds in played.steps.items():
        row(step, seconds, "s")
    row("from the PIN to the receipt", played.visit_s, "s")
    for wire, seconds in played.wires.items():
        row(f"on the wire: {wire}", seconds, "s")
    row("on all wires", played.wire_s, "s")
    row("ratio", played.ratio, "times")
    row("demo ready (props made anew)", played.ready_s, "s")
    return asdict(played)


def _card() -> Any:
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        cards = card.measure(Path(folder))
    card.say(cards)
    return [asdict(read) for read in cards]


def _unlock() -> Any:
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        unlocked = unlock.measure(Path(folder))
    unlock.say(unlocked)
    return asdict(unlocked)


def _ingest() -> Any:
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        taken = ingest.measure(Path(folder), ingest.SHORT)
    ingest.say(taken)
    return asdict(taken)


def _load() -> Any:
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        carried = load.measure(Path(folder), load.SHORT)
    load.say(carried)
    if not carried.whole:
        raise RuntimeError("something was lost, doubled or refused")
    return asdict(carried)


def _links() -> Any:
    _needs_namespaces()
    return [run.told for run in links.short()]


def _report() -> Any:
    _needs_namespaces()
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        cost = telemetry.measure(Path(folder))
    telemetry.say(cost)
    return asdict(cost)


PARTS: dict[str, Callable[[], Any]] = {
    "sealing": _sealing,
    "visit": _visit,
    "card": _card,
    "unlock": _unlock,
    "ingest": _ingest,
    "load": _load,
    "report": _report,
    "link": _links,
}


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument(
        "--only", choices=sorted(PARTS), help="this part, and keep what is known of the others"
    )
    name = options.parse_args().only
    BUILD.mkdir(exist_ok=True)
    if name is not None:
        return _measure(name)
    RESULTS.unlink(missing_ok=True)
    program = [sys.executable, "-m", "benchmarks", "--only"]
    failed = [name for name in PARTS if subprocess.run([*program, name], check=False).returncode]
    if failed:
        sys.stderr.write(f"failed: {', '.join(failed)}\n")
    return 1 if failed else 0


def _measure(name: str) -> int:
    began = time.monotonic()
    try:
        result = PARTS[name]()
    except NotHere as why:
        print(f"{name}: not measured, {why}")
        return 0
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(known | {name: result}, indent=1) + "\n")
    print(f"  ({name} took {time.monotonic() - began:.0f} s)", flush=True)
    return 0


def _needs_namespaces() -> None:
    if os.geteuid() != 0 or not TUN.exists():
        raise NotHere("it needs root and /dev/net/tun")


def row(name: str, value: float, unit: str) -> None:
    print(f"  {name:<44}{value:>9.2f} {unit}")


if __name__ == "__main__":
    sys.exit(main())
