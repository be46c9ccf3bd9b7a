"""`make-fingers --out DIR --seed N --count 10`: fingers that belong to nobody, several touches of each, as
PNG.

Files are `f03-2.png`: finger 3, touch 2. The same seed gives the same files.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from device.emulators import ridges

WIDTH, HEIGHT, PPI = 272, 320, 500


def touches(seed: int, number: int) -> list[ridges.Touch]:
    """The first touch is a good one; the others shift, turn and press as people do."""
    chance = np.random.default_rng([0x10C4, seed])
    hows = [ridges.Touch()]
    while len(hows) < number:
        hows.append(
            ridges.Touch(
                dx=float(chance.uniform(-14, 14)),
                dy=float(chance.uniform(-14, 14)),
                turn=float(chance.uniform(-9, 9)),
                pressure=float(chance.uniform(-0.5, 0.5)),
                moisture=float(chance.uniform(-0.5, 0.5)),
            )
        )
    return hows


def write(out: Path, seed: int, count: int, number: int) -> list[Path]:
    """Write `number` touches of each of `count` fingers into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for finger in range(count):
        of_finger = seed * 1000 + finger
        master = ridges.master(of_finger)
        for turn, how in enumerate(touches(of_finger, number), start=1):
            pixels = ridges.touch(master, how, of_finger * 100 + turn, WIDTH, HEIGHT)
            path = out / f"f{finger + 1:02d}-{turn}.png"
            Image.fromarray(pixels).save(path, dpi=(PPI, PPI))
            written.append(path)
    return written


def main(argv: list[str]) -> int:
    options = argparse.ArgumentParser(prog="emulate make-fingers", description=__doc__)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--count", type=int, default=10, help="fingers")
    options.add_argument("--touches", type=int, default=3, help="touches of each finger")
    given = options.parse_args(argv)
    if not (0 <= given.seed < 2**31 and 1 <= given.count <= 1000 and 1 <= given.touches <= 20):
        options.error("seed from 0, 1 to 1000 fingers, 1 to 20 touches")
    write(given.out, given.seed, given.count, given.touches)
    return 0
