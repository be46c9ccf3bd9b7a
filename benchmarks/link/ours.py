"""Our uploader against the real listener over the emulated link."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.link import fleet
from benchmarks.link.emulator import MTU, RIGHT, Weather

_PAYLOAD = 1368  # of TCP in a packet of MTU bytes, with the time stamp option
STAMPS = "net.ipv4.tcp_timestamps"
IMAGE = Path(__file__).parents[2] / "provisioning" / "image" / "sysctl" / "60-thuisloket.conf"


class Emulator:
    """The link as a program. `count` answers as its counters say."""

    def __init__(self, name: str, weather: Weather) -> None:
        self.left, self.right = f"{name}-kit", f"{name}-fleet"
        self._program = subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.link.emulator", self.left, self.right),
                *("--weather", json.dumps(asdict(weather))),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._line() != "ready":
            raise RuntimeError("no namespaces: this benchmark needs root and /dev/net/tun")

    def again(self, seed: int) -> None:
        self._say(f"again {seed}")

    def prefer(self, algorithm: str) -> None:
        """What TCP does about congestion for everybody at the near end who has no wish of its own."""
        self._say(f"prefer {algorithm}")

    def tune(self, settings: Mapping[str, str]) -> None:
        """What the kernel at the near end does, from the next connection on."""
        words = [f"{name}={value}" for name, value in settings.items()]
        subprocess.run(["ip", "netns", "exec", self.left, "sysctl", "-q", "-w", *words], check=True)

    def count(self) -> dict[str, dict[str, Any]]:
        return dict(json.loads(self._say("count")))

    def stop(self) -> None:
        self._program.communicate()

    def _say(self, words: str) -> str:
        assert self._program.stdin is not None
        self._program.stdin.write(words + "\n")
        self._program.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self._program.stdout is not None
        return self._program.stdout.readline().strip()


class Kit:
    """The kit's side as a program in the left namespace."""

    def __init__(self, folder: Path, site: fleet.Fleet, namespace: str) -> None:
        settings = {
            "kit_id": fleet.KIT,
            "spool": str(folder / "spool"),
            "mqtt_host": RIGHT,
            "mqtt_port": 1,
            "https": f"https://{RIGHT}:{fleet.PORT}",
            "ca": str(site.folder / "root.pem"),
            "certificate": str(site.folder / "kit-tls.pem"),
            "key": str(site.folder / "kit-tls.key"),
        }
        with (folder / "kit.log").open("ab") as log:
            self._program = subprocess.Popen(
                [
                    *("ip", "netns", "exec", namespace, sys.executable),
                    *("-m", "benchmarks.link.kit", json.dumps(settings)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._line()

    def send(self, packet_id: str, path: Path) -> dict[str, Any]:
        return self._say(f"{packet_id} {path}")

    def be(self, how: str) -> None:
        """`ready`: it has been told that a packet is near; `alone`: it has not."""
        self._say(how)

    def _say(self, words: str) -> dict[str, Any]:
        assert self._program.stdin is not None
        self._program.stdin.write(words + "\n")
        self._program.stdin.flush()
        return dict(json.loads(self._line()))

    def stop(self) -> None:
        self._program.communicate()

    def _line(self) -> str:
        assert self._program.stdout is not None
        return self._program.stdout.readline().strip()


HEADERS = MTU / _PAYLOAD
"""Bytes on the wire over bytes carried, without any loss."""


def of_kit() -> dict[str, str]:
    """What the kit's image sets, of what a network namespace has for itself. BBR is asked for by connection,
    so the peers at the same end go without."""
    lines = (line.partition("=") for line in IMAGE.read_text().splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in lines if name.strip() == STAMPS}


def least(lost: float, settings: Mapping[str, str]) -> float:
    """Bytes up over the payload that nobody could do without: headers, and what the link lost once more."""
    bare = settings.get(STAMPS) == "0"
    return (MTU / (_PAYLOAD + 12) if bare else HEADERS) + lost


def limit_s(size: int, weather: Weather, lost: float | None = None) -> float:
    """What no program can beat: the bytes with the headers of TCP at the rate of the link, what is lost once
    more, 3.5 round trips for TCP, TLS 1.3, the request and the last answer; with gaps also the gaps, and the
    round trips again after each. `lost`: what one run did lose, over the payload, for its own limit."""
    carried = HEADERS / (1 - weather.loss) if lost is None else HEADERS + lost
    wire_s = size * carried / (weather.up_kbit * 125)
    talk_s = 3.5 * weather.rtt_s
    if not weather.down_s:
        return wire_s + talk_s
    left, total = wire_s, 0.0
    while left + talk_s > weather.up_s:
        left -= weather.up_s - talk_s
        total += weather.up_s + weather.down_s
    return total + left + talk_s
