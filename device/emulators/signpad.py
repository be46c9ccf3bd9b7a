"""`emulate signpad`: a Topaz SigLite 1x5 on a pseudo-terminal.

Written from the published packet notes, not from our codec. The strokes (--strokes, else a made-up signature)
are written once each time somebody opens the line, as a hand would: pen near, down, up, over to the next
stroke. Control requests: {"do":"sign"} writes them now, {"do":"sign","strokes":PATH} writes others now;
{"do":"nothing"}: from now on nobody signs when the line is opened; {"do":"waiting"}: from now on somebody
does; {"do":"unplug"}, {"do":"plug"}, {"do":"fault","script":[...]}; {"do":"state"} answers {"open": whether
the pad has seen that somebody has the line open, "plugged"}.

A strokes file: {"width": 2150, "height": 1400, "strokes": [[[x, y], ...], ...]}, origin top left, any unit.
"""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

from device.emulators.control import Control
from device.emulators.faults import Faults, load, parse
from device.emulators.running import parser, ready, serial_options, settle
from device.emulators.wire import Unplugged, Wire

BITS = 11  # 8O1
LEFT, TOP, WIDTH, HEIGHT = 500, 700, 2150, 1400
SAMPLE_STEP = 14  # pad units between two samples: 30 cm/s at 349 packets a second
HOVER = 12  # samples with the pen near but not down, before and after a stroke
REACH_S = 0.3  # the hand reaches for the pen

Strokes = list[list[tuple[float, float]]]


class Pad:
    def __init__(self, wire: Wire, faults: Faults, strokes: Strokes) -> None:
        self._wire = wire
        self._faults = faults
        self._strokes = strokes
        self._somebody = True
        self._now: Strokes | None = None
        self._was_open = False

    def control(self, wish: dict[str, Any]) -> dict[str, Any] | None:
        do = wish.get("do")
        if do == "state":
            return {"open": self._was_open, "plugged": self._wire.plugged}
        if do == "sign":
            self._now = read_strokes(Path(str(wish["strokes"]))) if "strokes" in wish else self._strokes
        elif do in ("nothing", "waiting"):
            self._somebody = do == "waiting"
        elif do == "unplug":
            self._wire.unplug(float(wish.get("seconds", 0)))
        elif do == "plug":
            self._wire.plug()
        elif do == "fault":
            self._faults.arm(parse(wish.get("script")))
        else:
            raise ValueError(f"unknown request {do!r}")
        return None

    def run(self) -> None:
        while True:
            self._wire.receive(
                0.02
            )  # commands to the pad (clear, ink mode) change nothing that comes from it
            is_open = self._wire.open
            try:
                if self._now is not None and is_open:
                    strokes, self._now = self._now, None
                    self._write(strokes)
                elif is_open and not self._was_open and self._somebody:
                    self._wire.receive(REACH_S)
                    self._write(self._strokes)
            except Unplugged:
                is_open = False
            self._was_open = is_open

    def _write(self, strokes: Strokes) -> None:
        for stroke in strokes:
            if not stroke:
                continue
            samples = [on_pad(point) for point in evenly(stroke)]
            for _ in range(HOVER):
                self._send(samples[0], down=False)
            self._wire.send(pressure(300))
            for sample in samples:
                self._send(sample, down=True)
            for _ in range(HOVER):
                self._send(samples[-1], down=False)

    def _send(self, point: tuple[int, int], *, down: bool) -> None:
        x, y = point
        status = 0x80 | 0x40 | (0x01 if down else 0)
        self._wire.send(bytes([status, x % 128, x // 128 % 32, y % 128, y // 128 % 32]))


def pressure(value: int) -> bytes:
    """A packet of type 7."""
    return bytes([0x80 | 0x40 | 7 << 2, 0, 0, value % 128, value // 128 % 8])


def on_pad(point: tuple[float, float]) -> tuple[int, int]:
    """From the unit square to pad units."""
    return round(LEFT + point[0] * WIDTH), round(TOP + point[1] * HEIGHT)


def evenly(stroke: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The stroke as a pad samples it: points at equal steps along it."""
    samples = [stroke[0]]
    for (ax, ay), (bx, by) in pairwise(stroke):
        steps = max(1, math.ceil(math.hypot((bx - ax) * WIDTH, (by - ay) * HEIGHT) / SAMPLE_STEP))
        samples += [(ax + (bx - ax) * n / steps, ay + (by - ay) * n / steps) for n in range(1, steps + 1)]
    return samples


def made_up() -> Strokes:
    """A signature of nobody: a tall loop, waves that run out, a line back under them, and a dot."""
    loop = [
        (0.14 + 0.07 * math.sin(2.2 * t), 0.50 - 0.30 * math.sin(t) + 0.02 * t) for t in steps(-1.4, 4.4, 60)
    ]
    waves = [
        (
            0.26 + 0.085 * t - 0.018 * math.sin(4 * t),
            0.56 - 0.10 * math.sin(4 * t + 0.6) * math.exp(-0.16 * t),
        )
        for t in steps(0.0, 6.2, 110)
    ]
    under = [(0.84 - 0.66 * t, 0.74 + 0.06 * math.sin(3 * t) - 0.05 * t) for t in steps(0.0, 1.0, 40)]
    dot = [(0.52, 0.30), (0.525, 0.305)]
    return [loop, waves, under, dot]


def steps(start: float, end: float, number: int) -> list[float]:
    return [start + (end - start) * n / number for n in range(number + 1)]


def read_strokes(path: Path) -> Strokes:
    """Strokes of a file, scaled to the unit square. ValueError when it is not of the form above."""
    try:
        found = json.loads(path.read_text())
        width, height = float(found["width"]), float(found["height"])
        strokes = [
            [(float(x) / width, float(y) / height) for x, y, *_ in stroke] for stroke in found["strokes"]
        ]
    except (OSError, KeyError, TypeError, ZeroDivisionError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from error
    if any(not (-0.5 <= v <= 1.5) for stroke in strokes for point in stroke for v in point):
        raise ValueError(f"{path}: a point lies far off the pad")
    return strokes


def main(argv: list[str]) -> int:
    options = parser("signpad", "Topaz SigLite signature pad on a pseudo-terminal")
    serial_options(options, "topaz-siglite", 19200)
    options.add_argument("--strokes", type=Path, help="what is written; a made-up signature if not given")
    given = options.parse_args(argv)
    settle(given)
    pad: Pad | None = None

    def obey(wish: dict[str, Any]) -> dict[str, Any] | None:
        assert pad is not None
        return pad.control(wish)

    try:
        faults = Faults(load(given.faults) if given.faults else ())
        strokes = read_strokes(given.strokes) if given.strokes else made_up()
    except ValueError as error:
        options.error(str(error))
    control = Control(given.control, obey)
    wire = Wire(given.link, baud=given.baud, bits=BITS, faults=faults, control=control)
    pad = Pad(wire, faults, strokes)
    try:
        wire.plug()
        ready(link=str(given.link))
        pad.run()
    finally:
        wire.close()
        control.close()
    return 0
