"""Own ridge images: what a finger and one touch of it look like. No real finger and no other program is
behind them.

A master finger is an orientation field (loop, whorl, arch: Sherlock and Monro's zero-pole model) and noise
filtered over and over along it (as in SFinGe: Cappelli 2004), which grows ridges with endings and forks of
their own accord. A touch of it is shifted, turned, bent by the skin, pressed harder or softer, drier or
wetter, and seen by a sensor. All sizes in pixels at 500 ppi: a ridge period of 9 is 0.46 mm, which is what
adults have.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float32]
Pattern = Literal["left-loop", "right-loop", "whorl", "arch"]
PATTERNS: tuple[Pattern, ...] = ("right-loop", "whorl", "left-loop", "arch")

MASTER_WIDTH, MASTER_HEIGHT = 352, 416
DIRECTIONS = 24
ROUNDS = 9


@dataclass(frozen=True)
class Master:
    """A whole fingertip: +1 on ridges, -1 in valleys, about 0 at their edges."""

    ridges: Grid


@dataclass(frozen=True)
class Touch:
    """How a finger is laid down. dx, dy in pixels, turn in degrees, pressure and moisture from -1 to 1."""

    dx: float = 0.0
    dy: float = 0.0
    turn: float = 0.0
    pressure: float = 0.0
    moisture: float = 0.0


def master(seed: int, rounds: int = ROUNDS) -> Master:
    """The finger with that seed: the same one at every call."""
    chance = np.random.default_rng([0x5EED, seed])
    pattern = PATTERNS[seed % len(PATTERNS)]
    direction = _directions(pattern, chance)
    period = float(chance.uniform(8.3, 9.8))
    field: Grid = chance.standard_normal((MASTER_HEIGHT, MASTER_WIDTH)).astype(np.float32)
    kernels = _kernels(period)
    # Which of the filtered pictures each pixel takes, and how much of the next: no seams between directions.
    turns = np.mod(direction / np.pi, 1.0) * DIRECTIONS
    index = np.floor(turns).astype(np.intp) % DIRECTIONS
    part = (turns - np.floor(turns)).astype(np.float32)
    for _ in range(rounds):
        spectrum = np.fft.rfft2(field)
        grown = np.zeros_like(field)
        for number in range(DIRECTIONS):
            weight = np.where(index == number, 1 - part, 0) + np.where(
                (index + 1) % DIRECTIONS == number, part, 0
            )
            if weight.any():
                filtered = np.fft.irfft2(spectrum * kernels[number], s=field.shape)
                grown += weight.astype(np.float32) * filtered.astype(np.float32)
        field = np.tanh(3.0 * grown / (grown.std() + 1e-6)).astype(np.float32)
    return Master(field)


def touch(finger: Master, how: Touch, seed: int, width: int = 272, height: int = 320) -> NDArray[np.uint8]:
    """One touch of a finger as an 8-bit grey image, ridges dark, `height` rows of `width`."""
    chance = np.random.default_rng([0x70C4, seed])
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = columns - width / 2, rows - height / 2
    bend_x, bend_y = _soft_noise(chance, height, width, 90.0), _soft_noise(chance, height, width, 90.0)
    angle = np.float32(np.deg2rad(how.turn))
    source_x = np.cos(angle) * (x - how.dx) + np.sin(angle) * (y - how.dy) + 2.5 * bend_x + MASTER_WIDTH / 2
    source_y = -np.sin(angle) * (x - how.dx) + np.cos(angle) * (y - how.dy) + 2.5 * bend_y + MASTER_HEIGHT / 2
    ridges = _sample(finger.ridges, source_x, source_y)
    # Harder and wetter: ridges run together. Softer and drier: ridges thin out and break up.
    level = 0.35 * how.pressure + 0.35 * how.moisture
    grain = _soft_noise(chance, height, width, 1.6)
    dryness = max(0.0, -how.moisture)
    ink = ridges + level + (0.30 + 0.55 * dryness) * grain
    ink = 1 / (1 + np.exp(-5.0 * ink))
    # Where the fingertip touches the glass: an oval, larger when pressed, with an uneven rim.
    reach = 1 + 0.12 * how.pressure
    rim = 0.05 * _soft_noise(chance, height, width, 25.0)
    oval = ((x - how.dx) / (0.47 * width * reach)) ** 2 + ((y - how.dy) / (0.48 * height * reach)) ** 2
    contact = 1 / (1 + np.exp(22.0 * (oval + rim - 1)))
    pores = (_soft_noise(chance, height, width, 1.2) > 2.1) & (ridges > 0.4)
    ink = np.where(pores, 0.35 * ink, ink) * contact
    light = 244 - 190 * ink * (1 - 0.25 * dryness) + 3.0 * chance.standard_normal(ink.shape)
    light = light + 4.0 * _soft_noise(chance, height, width, 120.0)
    return np.clip(_blur(light.astype(np.float32), 0.6), 0, 255).astype(np.uint8)


def _directions(pattern: Pattern, chance: np.random.Generator) -> Grid:
    """Direction of the ridges (radians, modulo pi) at every pixel: half the sum of the angles seen from the
    pattern's cores less those from its deltas (Sherlock and Monro 1993)."""
    rows, columns = np.mgrid[0:MASTER_HEIGHT, 0:MASTER_WIDTH].astype(np.float32)
    x, y = columns - MASTER_WIDTH / 2, MASTER_HEIGHT / 2 - rows
    jitter = chance.uniform(-20, 20, 4)
    # No two fingers bend alike: without this, two loops with the same cores would fork in the same places.
    own = 0.13 * _soft_noise(chance, MASTER_HEIGHT, MASTER_WIDTH, 45.0)
    if pattern == "arch":
        # No singularity: ridges rise in the middle, most at the height of the nail bed.
        rise = chance.uniform(0.8, 1.1) * np.exp(-(((y + 30 + jitter[0]) / 110) ** 2))
        return np.asarray(own + np.arctan(rise * np.sin(-x / 75) * 1.6), np.float32)
    side = -1 if pattern == "left-loop" else 1
    if pattern == "whorl":
        gap = chance.uniform(14, 26)
        cores = [(jitter[0], 25 + gap + jitter[1]), (jitter[0], 25 - gap + jitter[1])]
        deltas = [(-125 + jitter[2], -105 + jitter[3]), (125 + jitter[3], -105 + jitter[2])]
    else:
        cores = [(jitter[0], 25 + jitter[1])]
        deltas = [(-side * (95 + jitter[2]), -95 + jitter[3])]
    angle = own
    for cx, cy in cores:
        angle = angle + 0.5 * np.arctan2(y - cy, x - cx)
    for dx, dy in deltas:
        angle = angle - 0.5 * np.arctan2(y - dy, x - dx)
    # Ridges near the tip run flat; a loop leans a little towards the side it leaves through.
    angle = angle - _tip_direction(angle)
    if len(cores) == 1:
        angle = angle + side * np.deg2rad(chance.uniform(8, 16))
    return angle.astype(np.float32)


def _tip_direction(angle: Grid) -> float:
    """The mean ridge direction near the tip of the finger, radians."""
    tip = angle[20:80, MASTER_WIDTH // 2 - 50 : MASTER_WIDTH // 2 + 50]
    return float(np.angle(np.exp(2j * tip).mean()) / 2)


def _kernels(period: float) -> list[Grid]:
    """Frequency responses: along-ridge smoothing at one spacing, one for each of DIRECTIONS."""
    v = np.fft.fftfreq(MASTER_HEIGHT)[:, None].astype(np.float32)
    u = np.fft.rfftfreq(MASTER_WIDTH)[None, :].astype(np.float32)
    kernels = []
    for number in range(DIRECTIONS):
        theta = np.pi * number / DIRECTIONS
        # Ridges run along theta (y up): their frequency lies at right angles to it. Rows grow downwards.
        across_x, across_y = -np.sin(theta), -np.cos(theta)
        across = u * across_x + v * across_y
        along = -u * across_y + v * across_x
        # Broad lobes let ridges end and fork where chance wants it; narrow ones leave that to the field
        # alone, and then two loops get their forks in the same places (Bozorth3 between different fingers
        # rose to 57).
        spread_across, spread_along = 0.045, 0.042
        lobe = np.exp(-((np.abs(across) - 1 / period) ** 2) / (2 * spread_across**2))
        kernels.append((lobe * np.exp(-(along**2) / (2 * spread_along**2))).astype(np.float32))
    return kernels


def _soft_noise(chance: np.random.Generator, height: int, width: int, size: float) -> Grid:
    """Noise of mean 0 and variance 1 whose blobs are about `size` pixels."""
    noise = _blur(chance.standard_normal((height, width)).astype(np.float32), size)
    noise = noise - noise.mean()
    return np.asarray(noise / (noise.std() + 1e-9), np.float32)


def _blur(picture: Grid, sigma: float) -> Grid:
    v = np.fft.fftfreq(picture.shape[0])[:, None]
    u = np.fft.rfftfreq(picture.shape[1])[None, :]
    response = np.exp(-2 * (np.pi * sigma) ** 2 * (u**2 + v**2)).astype(np.float32)
    return np.fft.irfft2(np.fft.rfft2(picture) * response, s=picture.shape).astype(np.float32)


def _sample(picture: Grid, x: Grid, y: Grid) -> Grid:
    """Bilinear look-up at (x, y), edges repeated."""
    x = np.clip(x, 0, picture.shape[1] - 1.001)
    y = np.clip(y, 0, picture.shape[0] - 1.001)
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    fx, fy = x - left, y - top
    upper = picture[top, left] * (1 - fx) + picture[top, left + 1] * fx
    lower = picture[top + 1, left] * (1 - fx) + picture[top + 1, left + 1] * fx
    return np.asarray(upper * (1 - fy) + lower * fy, np.float32)
