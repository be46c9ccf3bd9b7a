"""What can be said of a finger image from its grey values alone: is there a finger, how much of it, how
clear. Pure.

This is the draft of our own measure, `thuisloket-1-draft`, not NFIQ 2, and its score must not be reported as
one. It sees blank, pale, small, dry, wet and ridgeless images. It does not count minutiae, does not know one
finger from another, and cannot see a wrong resolution that stays within plausible ridge spacing.

Ridges of adults are 0.33 to 0.7 mm apart, 6.5 to 14 pixels at 500 ppi (ISO/IEC 29794-4 works with 16 px
blocks and the same band). In a square of skin most of the variation lies in that band of spatial frequencies,
along one direction; in a portrait, a wall or noise it does not.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MEASURE = "thuisloket-1-draft"
PPI = 500
BLOCK = 32  # pixels; two to five ridges
STEP = 16
RIDGE_PERIOD = (5.5, 16.0)  # pixels at 500 ppi, with room for children and for stretched skin

FAINT_MIN = 6.0  # standard deviation of grey in a block that is more than the sensor's own noise
CONTRAST_MIN = 18.0  # the same in a block whose ridges can be used
RIDGE_MIN = 0.55  # share of a block's variation that lies in the ridge band, in the strongest direction
FOREGROUND_MIN = 0.45  # of the window; below it the finger is only partly on it
FOREGROUND_BLANK = 0.06
OFF_CENTRE_MAX = 0.16  # of the window's width or height
INK_RANGE_MIN = 70.0  # grey values between ridges and valleys
DRY_RIDGES, WET_RIDGES = 0.22, 0.65  # share of skin that is ridge; clean prints lie between 0.25 and 0.55

Grid = NDArray[np.float32]


@dataclass(frozen=True)
class Judgement:
    """`hints` is empty when nothing speaks against the image. `measures["score"]` runs from 0 to 100."""

    measures: dict[str, float]
    hints: tuple[str, ...]


def judge(pixels: bytes, width: int, height: int, ppi: int) -> Judgement:
    """Judge an 8-bit grey image, ridges dark. Hints: wrong-resolution blank low-contrast not-a-finger partial
    off-centre too-dry too-wet. ValueError when the pixels do not fill width x height."""
    image = np.frombuffer(pixels, np.uint8).reshape(height, width).astype(np.float32)
    if ppi != PPI:
        return Judgement({"score": 0.0}, ("wrong-resolution",))
    contrast, ridge = _blocks(image)
    varied = contrast > CONTRAST_MIN
    skin = varied & (ridge > RIDGE_MIN)
    measures = {
        "foreground": float(skin.mean()),
        "faint": float(((contrast > FAINT_MIN) & (ridge > RIDGE_MIN)).mean()),
        "varied": float(varied.mean()),
        "contrast": float(contrast.max(initial=0.0)),
        "ridge_clarity": float(ridge[varied].mean()) if varied.any() else 0.0,
        **_ink(image, skin),
        **_centre(skin),
    }
    hints = _hints(measures)
    measures["score"] = 0.0 if {"blank", "not-a-finger"} & set(hints) else _score(measures)
    return Judgement({name: round(value, 3) for name, value in measures.items()}, hints)


def _blocks(image: Grid) -> tuple[Grid, Grid]:
    """For overlapping blocks (rows x columns): standard deviation, and the share of the variation that is
    ridges.
    """
    views = np.lib.stride_tricks.sliding_window_view(image, (BLOCK, BLOCK))[::STEP, ::STEP]
    blocks = views - views.mean(axis=(2, 3), keepdims=True)
    contrast = blocks.std(axis=(2, 3))
    window = np.hanning(BLOCK).astype(np.float32)
    power = np.abs(np.fft.fft2(blocks * window[:, None] * window[None, :])) ** 2
    v, u = np.meshgrid(np.fft.fftfreq(BLOCK), np.fft.fftfreq(BLOCK), indexing="ij")
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    band = (radius >= 1 / RIDGE_PERIOD[1]) & (radius <= 1 / RIDGE_PERIOD[0])
    total = power.sum(axis=(2, 3)) + 1e-6
    strongest = np.zeros_like(contrast)
    for number in range(12):
        # Half a right angle wide: ridges bend within a block, and so do not fill one direction alone.
        turned = np.abs(np.angle(np.exp(2j * (angle - np.pi * number / 12)))) / 2
        part = (power * (band & (turned <= np.pi / 8))).sum(axis=(2, 3)) / total
        strongest = np.maximum(strongest, part)
    return contrast.astype(np.float32), strongest.astype(np.float32)


def _ink(image: Grid, skin: NDArray[np.bool_]) -> dict[str, float]:
    """How dark the skin is and how much of it is ridge: thin broken ridges are dry, merged ones wet."""
    if not skin.any():
        return {"mean_grey": float(image.mean()), "ridge_share": 0.0, "ink_range": 0.0}
    rows, columns = np.nonzero(skin)
    corners = zip(rows * STEP, columns * STEP, strict=True)
    blocks = np.stack([image[row : row + BLOCK, column : column + BLOCK] for row, column in corners])
    low, high = np.percentile(blocks, (2, 98))
    dark = blocks < (low + high) / 2
    return {
        "mean_grey": float(blocks.mean()),
        "ridge_share": float(dark.mean()),
        "ink_range": float(high - low),
    }


def _centre(skin: NDArray[np.bool_]) -> dict[str, float]:
    """How far the middle of the skin lies from the middle of the window, as shares of its sides."""
    if not skin.any():
        return {"off_x": 0.0, "off_y": 0.0}
    rows, columns = np.nonzero(skin)
    tall, wide = skin.shape
    return {
        "off_x": float(columns.mean() / max(1, wide - 1) - 0.5),
        "off_y": float(rows.mean() / max(1, tall - 1) - 0.5),
    }


def _hints(measures: dict[str, float]) -> tuple[str, ...]:
    foreground, faint, varied = measures["foreground"], measures["faint"], measures["varied"]
    if faint < FOREGROUND_BLANK and varied < FOREGROUND_BLANK:
        return ("blank",)
    if faint - foreground > 0.2 and foreground < FOREGROUND_MIN:
        return ("low-contrast",)
    if foreground < 0.3 * varied:
        # Much goes on in the picture, and little of it looks like ridges; unless it is nearly all ridge.
        return (
            ("too-wet",)
            if measures["mean_grey"] < 120 and measures["ridge_clarity"] > 0.15
            else ("not-a-finger",)
        )
    hints = []
    if foreground < FOREGROUND_MIN and varied < 0.6:
        hints.append("partial")
    if max(abs(measures["off_x"]), abs(measures["off_y"])) > OFF_CENTRE_MAX:
        hints.append("off-centre")
    if measures["ink_range"] < INK_RANGE_MIN:
        hints.append("low-contrast")
    broken = measures["ridge_clarity"] < 0.64 and measures["mean_grey"] > 175
    if measures["ridge_share"] < DRY_RIDGES or broken:
        hints.append("too-dry")
    if measures["ridge_share"] > WET_RIDGES:
        hints.append("too-wet")
    return tuple(hints)


def _score(measures: dict[str, float]) -> float:
    """0 to 100: area, clarity of the ridges and their contrast, the weakest of the three counting most."""
    area = _between(measures["foreground"], 0.30, 0.75)
    clarity = _between(measures["ridge_clarity"], 0.45, 0.75)
    ink = _between(measures["ink_range"], 40.0, 150.0)
    middle = math.prod((area, clarity, ink)) ** (1 / 3)
    return 50 * (min(area, clarity, ink) + middle)


def _between(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))
