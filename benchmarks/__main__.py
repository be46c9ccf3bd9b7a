"""`python -m benchmarks` (`make bench`): all measurements as a table, and as JSON in build/bench.json."""

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks import card, ingest, sealing, unlock, visit
from benchmarks.link import __main__ as links
from benchmarks.link import telemetry

BUILD = Path("build")
TUN = Path("/dev/net/tun")


def main() -> None:
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=BUILD) as folder:
        sealed = [sealing.measure(Path(folder) / str(size), size) for size in sealing.SIZES]
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:  # short: unix sockets lie in it
        played = visit.measure(Path(folder), BUILD / "portrait.jpg")
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        cards = card.measure(Path(folder))
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        unlocked = unlock.measure(Path(folder))
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        taken = ingest.measure(Path(folder), ingest.SHORT)
    told: dict[str, object] = {
        "sealing": [asdict(each) for each in sealed],
        "visit": asdict(played),
        "card": [asdict(read) for read in cards],
        "unlock": asdict(unlocked),
        "ingest": asdict(taken),
    }
    _keep(told)
    sealing.say(sealed)
    print("one whole visit, headless")
    for step, seconds in played.steps.items():
        row(step, seconds, "s")
    row("from the PIN to the receipt", played.visit_s, "s")
    for wire, seconds in played.wires.items():
        row(f"on the wire: {wire}", seconds, "s")
    row("on all wires", played.wire_s, "s")
    row("ratio", played.ratio, "times")
    row("demo ready (props made anew)", played.ready_s, "s")
    card.say(cards)
    unlock.say(unlocked)
    ingest.say(taken)

    _links(told)


def _keep(told: dict[str, object]) -> None:
    (BUILD / "bench.json").write_text(json.dumps(told, indent=1) + "\n")


def _links(told: dict[str, object]) -> None:
    """What needs network namespaces: what a report costs on a bad link, and the uploads over one."""
    if os.geteuid() != 0 or not TUN.exists():
        print("over a bad link: not measured, it needs root and /dev/net/tun")
        return
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        cost = telemetry.measure(Path(folder))
    telemetry.say(cost)
    _keep(told | {"report": asdict(cost)})
    runs = links.short()
    _keep(told | {"report": asdict(cost), "link": [run.told for run in runs]})


def row(name: str, value: float, unit: str) -> None:
    print(f"  {name:<44}{value:>9.2f} {unit}")


if __name__ == "__main__":
    main()
