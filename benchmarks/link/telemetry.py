"""What a health report costs on a mobile link: IP bytes both ways, beside a plain JSON publish of the same.

`python -m benchmarks.link.telemetry` (root). Both over mutual TLS to our own mosquitto, QoS 1, on the same
topic at the same pace; the counters are those of the emulated link. JSON: build/bench-telemetry.json.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.link import fleet, reporter
from benchmarks.link.emulator import RIGHT, Weather
from benchmarks.link.ours import Emulator
from provisioning import broker

GOALS = {"live": 0.55, "together": 0.30}  # of the plain publish
PORT = 8883
WEATHER = Weather(rtt_s=0.05)


@dataclass(frozen=True)
class Cost:
    """IP bytes of one report, both ways."""

    plain: float
    live: float
    together: float

    def ratio(self, way: str) -> float:
        return float(getattr(self, way)) / self.plain


def measure(folder: Path) -> Cost:
    """The reporters, one after the other, over the same link. Needs root."""
    site, link = fleet.Fleet(folder / "fleet"), Emulator("report", WEATHER)
    try:
        files = site.folder
        configuration = broker.write(
            broker.BrokerSettings(
                folder=folder / "broker",
                authorities=files / "clients.pem",
                revoked=files / "revoked.pem",
                certificate=files / "broker.pem",
                key=files / "broker.key",
                port=PORT,
                addresses=(RIGHT,),
                kits=(fleet.KIT,),
            )
        )
        command = ["ip", "netns", "exec", link.right, *broker.command(configuration)]
        with (folder / "broker.log").open("ab") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            time.sleep(1.0)
            return Cost(*(_bytes_of(way, link, files, folder) for way in ("plain", *GOALS)))
        finally:
            server.terminate()
            server.wait(10)
    finally:
        link.stop()


def _bytes_of(way: str, link: Emulator, files: Path, folder: Path) -> float:
    """Of one report, without the connect."""
    words = [way, str(files), str(folder / f"spool-{way}")]
    program = subprocess.Popen(
        ["ip", "netns", "exec", link.left, sys.executable, "-m", "benchmarks.link.reporter", *words],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    if program.stdout.readline().strip() != "ready":
        raise RuntimeError(f"the reporter ({way}) did not connect")
    link.again(1)
    program.communicate("go\n")
    told = link.count()
    return (told["up"]["bytes"] + told["down"]["bytes"]) / reporter.REPORTS


def say(cost: Cost) -> None:
    print("a health report on the wire, IP bytes both ways (mutual TLS, QoS 1)")
    print(f"  {'plain JSON publish':<44}{cost.plain:>9.0f} bytes")
    for way, name in (("live", "thuisloket"), ("together", f"{reporter.TOGETHER} together, that waited")):
        ratio = cost.ratio(way)
        word = "met" if ratio <= GOALS[way] else "MISSED"
        print(
            f"  {name:<44}{getattr(cost, way):>9.0f} bytes   ratio {ratio:.3f}, goal {GOALS[way]:.2f}: {word}"
        )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        cost = measure(Path(folder))
    say(cost)
    Path("build").mkdir(exist_ok=True)
    Path("build/bench-telemetry.json").write_text(json.dumps(asdict(cost), indent=1) + "\n")


if __name__ == "__main__":
    main()
