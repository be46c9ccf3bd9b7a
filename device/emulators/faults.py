"""A line that misbehaves by script: which bytes are lost, changed, added or late, and when the plug is
pulled.

A script is a JSON list of objects:

    {"at": 100, "unit": "byte"|"packet", "do": "drop|flip|insert|hangup|silence|slow",
     "count": 1, "seconds": 0.5, "every": 0}

`at` counts from 0 what the emulator has sent since the script was loaded; a packet is one message of the
device. `drop`, `flip` and `insert` concern `count` bytes (with unit "packet": the whole packet, or `count`
bytes before it for insert). `silence` loses everything from there for `seconds` (0: for ever). `slow` waits
`seconds` first. `hangup` pulls the plug and puts it back after `seconds` (0: stays out). `every` repeats the
fault every so many units.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Do = Literal["drop", "flip", "insert", "hangup", "silence", "slow"]
DOS = ("drop", "flip", "insert", "hangup", "silence", "slow")
FIELDS = {"at", "unit", "do", "count", "seconds", "every"}


@dataclass(frozen=True)
class Fault:
    at: int
    do: Do
    unit: Literal["byte", "packet"] = "byte"
    count: int = 1
    seconds: float = 0.0
    every: int = 0

    def due(self, index: int) -> bool:
        if self.every:
            return index >= self.at and (index - self.at) % self.every == 0
        return index == self.at


@dataclass(frozen=True)
class Pause:
    seconds: float


@dataclass(frozen=True)
class Hangup:
    seconds: float


@dataclass(frozen=True)
class Silence:
    seconds: float


Piece = bytes | Pause | Hangup | Silence


class BadScript(ValueError):
    """The fault script is not of the form above; the text says what and where."""


def parse(value: Any) -> tuple[Fault, ...]:
    """Faults from decoded JSON. BadScript when anything in it is not understood."""
    if not isinstance(value, list):
        raise BadScript("a fault script is a list")
    faults = []
    for number, entry in enumerate(value):
        if not isinstance(entry, dict) or set(entry) - FIELDS or "at" not in entry:
            raise BadScript(f"fault {number}: an object with at, do and of {sorted(FIELDS)} only")
        if entry.get("do") not in DOS or entry.get("unit", "byte") not in ("byte", "packet"):
            raise BadScript(f"fault {number}: do is one of {DOS}, unit is byte or packet")
        numbers = [entry["at"], entry.get("count", 1), entry.get("every", 0), entry.get("seconds", 0)]
        if not all(isinstance(n, int | float) and not isinstance(n, bool) and n >= 0 for n in numbers):
            raise BadScript(f"fault {number}: at, count, every, seconds are numbers from 0")
        faults.append(Fault(**entry))
    return tuple(faults)


def load(path: Path) -> tuple[Fault, ...]:
    try:
        return parse(json.loads(path.read_text()))
    except (OSError, json.JSONDecodeError) as error:
        raise BadScript(f"{path}: {error}") from error


class Faults:
    """Applies faults to what is sent, counting bytes and packets."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self._faults = faults
        self._bytes = 0
        self._packets = 0

    def arm(self, faults: tuple[Fault, ...]) -> None:
        """Replace the script; counting starts at 0 again."""
        self._faults = faults
        self._bytes = 0
        self._packets = 0

    def spoil(self, packet: bytes) -> Iterator[Piece]:
        """What goes on the line instead of `packet`, in order."""
        whole = [f for f in self._faults if f.unit == "packet" and f.due(self._packets)]
        single = [f for f in self._faults if f.unit == "byte"]
        self._packets += 1
        start, self._bytes = self._bytes, self._bytes + len(packet)
        out = bytearray()
        drop = flip = 0
        for fault in whole:
            yield from _events(fault)
            if fault.do == "drop":
                return
            if fault.do == "flip":
                flip = len(packet)
            if fault.do == "insert":
                out += b"\x55" * fault.count
        for offset, value in enumerate(packet):
            for fault in single:
                if not fault.due(start + offset):
                    continue
                if fault.do == "drop":
                    drop = fault.count
                elif fault.do == "flip":
                    flip = fault.count
                elif fault.do == "insert":
                    out += b"\x55" * fault.count
                else:
                    yield bytes(out)
                    out.clear()
                    yield from _events(fault)
            if drop:
                drop -= 1
                continue
            out.append(value ^ 0x10 if flip else value)
            flip -= 1 if flip else 0
        yield bytes(out)


def _events(fault: Fault) -> Iterator[Piece]:
    if fault.do == "slow":
        yield Pause(fault.seconds)
    elif fault.do == "silence":
        yield Silence(fault.seconds)
    elif fault.do == "hangup":
        yield Hangup(fault.seconds)
