"""Where the bytes of one direction of the link go: what TCP carries for the first time, what it sends again
and whether that was needed, and what only talks about it. Pure.
"""

import struct
from dataclasses import dataclass, field

_TCP = 6
_WRAPS = 2**32  # of the numbers that TCP gives to bytes
_FIELDS = struct.Struct(
    "!4xI4xB"
)  # of a TCP header: the number of its first byte; its length in its upper half


@dataclass
class _Flow:
    first: int
    top: int = 0  # the end of what was sent at least once
    arrived: list[tuple[int, int]] = field(default_factory=list)  # apart from each other, in order

    def overlap(self, begin: int, end: int) -> int:
        return sum(max(0, min(end, late) - max(begin, early)) for early, late in self.arrived)

    def arrives(self, begin: int, end: int) -> None:
        apart = [each for each in self.arrived if each[1] < begin or each[0] > end]
        met = [each for each in self.arrived if each not in apart]
        joined = min([begin, *(each[0] for each in met)]), max([end, *(each[1] for each in met)])
        self.arrived = sorted([*apart, joined])


@dataclass
class Ledger:
    """Bytes. `fresh`, `again` and `spare` are TCP payload: for the first time; again because no copy had got
    there; again although one had. `headers` are those of IP and TCP before payload, `bare` packets without
    any. Together all that was sent."""

    fresh: int = 0
    again: int = 0
    spare: int = 0
    headers: int = 0
    bare: int = 0
    _flows: dict[bytes, _Flow] = field(default_factory=dict)

    def take(self, packet: bytes, arrives: bool) -> None:
        """One IPv4 packet that was sent in this direction."""
        at = (packet[0] & 15) * 4
        if packet[9] != _TCP or len(packet) < at + 20:
            self.bare += len(packet)
            return
        number, length = _FIELDS.unpack_from(packet, at)
        header = at + (length >> 4) * 4
        size = len(packet) - header
        flow = self._flows.setdefault(packet[at : at + 4], _Flow(number))
        if size <= 0:
            self.bare += len(packet)
            return
        begin = (number - flow.first) % _WRAPS
        if begin > _WRAPS // 2:  # a probe of an idle connection: the byte before the first
            begin = 0
        end = begin + size
        fresh = max(0, end - max(begin, flow.top))
        spare = flow.overlap(begin, min(end, flow.top))
        self.headers += header
        self.fresh += fresh
        self.spare += spare
        self.again += size - fresh - spare
        flow.top = max(flow.top, end)
        if arrives:
            flow.arrives(begin, end)

    @property
    def told(self) -> dict[str, int]:
        names = ("fresh", "again", "spare", "headers", "bare")
        return {name: getattr(self, name) for name in names}
