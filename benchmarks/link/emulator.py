"""A bad link between two network namespaces: rate, delay, queue, loss in bursts, gaps, NAT boxes that forget.

`python -m benchmarks.link.emulator LEFT RIGHT ...` (root) makes both namespaces with a TUN device each, says
`ready`, and carries IP packets between them in user space, as this kernel may have no netem. A line on stdin
asks: `again SEED` starts the clock, the loss and the counters anew; `count` answers the counters as JSON;
`prefer bbr` is how TCP at the left minds congestion from then on; its end ends us.
The loss follows from the seed and the number of the packet alone, in each direction by itself.
"""

import argparse
import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from itertools import count

from benchmarks.link.ledger import Ledger

LEFT, RIGHT = "10.77.0.1", "10.77.0.2"
MTU = 1420
FULL = 1000  # bytes of a packet; only payload fills one to here
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x1, 0x1000
_TCP, _SYN, _ACK = 6, 0x02, 0x10


@dataclass(frozen=True)
class Weather:
    """Of one link. `loss` is the share of packets lost, in bursts of `burst` packets on average; after each
    `up_s` of link there are `down_s` of nothing, and with `forgets` the flows of before are black holes from
    then on."""

    up_kbit: float = 1000.0
    down_kbit: float = 4000.0
    rtt_s: float = 0.2
    queue_s: float = 0.4
    loss: float = 0.0
    burst: float = 1.0
    up_s: float = 0.0
    down_s: float = 0.0
    forgets: bool = False


@dataclass
class Counters:
    packets: int = 0
    bytes: int = 0
    lost: int = 0
    lost_bytes: int = 0
    unfit_bytes: int = 0  # of the next three: no weather's fault that they were sent
    overflowed: int = 0
    in_gap: int = 0
    forgotten: int = 0
    connects: int = 0
    began: float = 0.0  # time.monotonic of the first packet, of either direction
    ended: float = 0.0  # of the last packet full of payload
    idle_s: float = 0.0  # until then, how long the wire had nothing to carry
    resumed: list[float] = field(
        default_factory=list
    )  # after each gap, seconds until a packet full of payload


@dataclass
class Way:
    """One direction: when its wire is free again, the state of its loss, its counters."""

    bytes_per_s: float
    loss: float
    burst: float
    chance: random.Random = field(default_factory=random.Random)
    free_at: float = 0.0
    idle_s: float = 0.0
    in_burst: bool = False
    counters: Counters = field(default_factory=Counters)
    ledger: Ledger = field(default_factory=Ledger)

    def start(self, seed: str) -> None:
        self.chance = random.Random(seed)
        self.free_at, self.idle_s, self.in_burst = 0.0, 0.0, False
        self.counters, self.ledger = Counters(), Ledger()

    def loses(self) -> bool:
        """Gilbert's channel: a good state without loss, a bad one where all is lost."""
        if self.loss <= 0:
            return False
        if self.in_burst:
            self.in_burst = self.chance.random() >= 1 / self.burst
        else:
            self.in_burst = self.chance.random() < self.loss / (self.burst * (1 - self.loss))
        return self.in_burst


class Link:
    """Pure of sockets: packets go in with the time, and come out with the time they arrive."""

    def __init__(self, weather: Weather, seed: int) -> None:
        self._weather = weather
        self.ways = {
            name: Way(kbit * 125.0, weather.loss, weather.burst)
            for name, kbit in (("up", weather.up_kbit), ("down", weather.down_kbit))
        }
        self.again(seed)

    def again(self, seed: int) -> None:
        for name, way in self.ways.items():
            way.start(f"{seed} {name}")
        self._began: float | None = None
        self._flows: dict[bytes, int] = {}

    def carry(self, packet: bytes, direction: str, now: float) -> float | None:
        """When it arrives at the other end; None when it never does."""
        arrives = self._carry(packet, direction, now)
        self.ways[direction].ledger.take(packet, arrives is not None)
        return arrives

    def _carry(self, packet: bytes, direction: str, now: float) -> float | None:
        way, weather = self.ways[direction], self._weather
        said = way.counters
        if self._began is None:
            self._began = now
            for each in self.ways.values():
                each.counters.began = now
        said.packets += 1
        said.bytes += len(packet)
        said.connects += _is_syn(packet)
        if weather.down_s:
            turn, at = divmod(now - self._began, weather.up_s + weather.down_s)
            if at >= weather.up_s:
                said.in_gap += 1
                said.unfit_bytes += len(packet)
                return None
            if weather.forgets and self._flows.setdefault(_flow(packet, direction), int(turn)) != int(turn):
                said.forgotten += 1
                said.unfit_bytes += len(packet)
                return None
            if len(packet) >= FULL and turn > len(said.resumed):
                said.resumed.append(at)
        is_lost = way.loses()
        start = max(now, way.free_at)
        if start - now > weather.queue_s:
            said.overflowed += 1
            said.unfit_bytes += len(packet)
            return None
        way.idle_s += max(0.0, now - max(way.free_at, said.began))
        if len(packet) >= FULL:
            said.ended, said.idle_s = now, way.idle_s
        way.free_at = start + len(packet) / way.bytes_per_s
        if is_lost:
            said.lost += 1
            said.lost_bytes += len(packet)
            return None
        return way.free_at + weather.rtt_s / 2


def _ports(packet: bytes) -> bytes:
    header = (packet[0] & 15) * 4
    return packet[header : header + 4]


def _flow(packet: bytes, direction: str) -> bytes:
    ports = _ports(packet)
    return bytes([packet[9]]) + (ports if direction == "up" else ports[2:] + ports[:2])


def _is_syn(packet: bytes) -> bool:
    header = (packet[0] & 15) * 4
    return packet[9] == _TCP and len(packet) > header + 13 and packet[header + 13] & (_SYN | _ACK) == _SYN


def _device(namespace: str, name: str, own: str, other: str) -> int:
    """A TUN device in a new namespace; its file descriptor."""
    _run("ip", "netns", "add", namespace)
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    _run("ip", "link", "set", name, "netns", namespace)
    for words in (
        ("link", "set", "lo", "up"),
        ("address", "add", own, "peer", other, "dev", name),
        ("link", "set", name, "mtu", str(MTU), "up"),
    ):
        _run("ip", "netns", "exec", namespace, "ip", *words)
    # What a Raspberry Pi has; the kernel of a test machine may choose something better for everybody.
    _prefer(namespace, name, other, "cubic")
    return handle


def _prefer(namespace: str, name: str, other: str, algorithm: str) -> None:
    route = ("route", "replace", other, "dev", name, "congctl", algorithm)
    _run("ip", "netns", "exec", namespace, "ip", *route)


def _run(*words: str) -> None:
    subprocess.run(words, check=True)


def serve(left: str, right: str, weather: Weather) -> None:
    """Until stdin ends. The namespaces are ours and go with us."""
    link, number, on_way = Link(weather, 0), count(), list[tuple[float, int, int, bytes]]()
    try:
        ends = {_device(left, f"tl{os.getpid()}", LEFT, RIGHT): ("up", 1)}
        ends[_device(right, f"tr{os.getpid()}", RIGHT, LEFT)] = ("down", 0)
        handles = list(ends)
        print("ready", flush=True)
        while True:
            wait = max(0.0, on_way[0][0] - time.monotonic()) if on_way else 1.0
            readable, _, _ = select.select([*handles, sys.stdin], [], [], wait)
            if sys.stdin in readable and not _obey(sys.stdin.readline(), left, link):
                return
            for handle in readable:
                if isinstance(handle, int):
                    _take(handle, ends, handles, link, on_way, number)
            while on_way and on_way[0][0] <= time.monotonic():
                _, _, target, packet = heapq.heappop(on_way)
                os.write(target, packet)
    finally:
        for namespace in (left, right):
            subprocess.run(["ip", "netns", "delete", namespace], check=False)


def _take(
    handle: int,
    ends: dict[int, tuple[str, int]],
    handles: list[int],
    link: Link,
    on_way: list[tuple[float, int, int, bytes]],
    number: "count[int]",
) -> None:
    direction, other = ends[handle]
    for _ in range(64):
        try:
            packet = os.read(handle, 65_536)
        except BlockingIOError:
            return
        if packet[0] >> 4 != 4:
            continue  # IPv6 looking for neighbours
        arrives = link.carry(packet, direction, time.monotonic())
        if arrives is not None:
            heapq.heappush(on_way, (arrives, next(number), handles[other], packet))


def _obey(line: str, left: str, link: Link) -> bool:
    words = line.split()
    if not words:
        return False
    if words[0] == "again":
        link.again(int(words[1]))
        print("{}", flush=True)
    elif words[0] == "prefer":
        _prefer(left, f"tl{os.getpid()}", RIGHT, words[1])
        print("{}", flush=True)
    else:
        told = {name: asdict(way.counters) | way.ledger.told for name, way in link.ways.items()}
        print(json.dumps(told), flush=True)
    return True


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("left")
    parser.add_argument("right")
    parser.add_argument("--weather", default="{}", help="JSON of the fields of Weather")
    words = parser.parse_args()
    serve(words.left, words.right, Weather(**json.loads(words.weather)))


if __name__ == "__main__":
    main()
