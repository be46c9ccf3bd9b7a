"""A still as the port wants it: cropped, measured, with hints for the officer. Pure.

Measured on the 35x45 crop at a fixed 413x531, so that cameras compare: brightness, shares of light that is
lost in black and in white, contrast, sharpness. Nothing here knows a face from a wall; that comes with a
later issue.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from device.drivers.camera.frame import LEAST_CROP, crop_35x45, decode, encode, marked
from device.errors import Code, KitError, Remedy
from device.ports import Photo

DARK, BRIGHT = 70.0, 205.0  # mean luminance
BLACK, WHITE = 25, 247  # OFIQ's borders of under- and over-exposure (ISO/IEC 29794-5)
LOST_MAX = 0.35  # share of the picture that may lie beyond either
CONTRAST_MIN = 20.0  # standard deviation of luminance
SHARP_MIN = (
    20.0  # variance of the Laplacian; a portrait in focus has hundreds, one blurred by 3 pixels under 15
)

Grid = NDArray[np.float32]


def to_photo(jpeg: bytes, *, example: bool, turn: int = 0) -> Photo:
    """The photo in a camera's still. Hints: too-dark too-bright low-contrast blurred.

    BadFrame; KitError photo-poor when the camera gives too few pixels for 413x531.
    """
    crop = crop_35x45(decode(jpeg, turn))
    if crop.width < LEAST_CROP[0] or crop.height < LEAST_CROP[1]:
        raise KitError(Code.PHOTO_POOR, Remedy.WORKSHOP, f"too few pixels: {crop.width}x{crop.height}")
    measures = measure(crop)
    # The mark is drawn after measuring: it is about what the picture is, not about how good it is.
    final = marked(crop) if example else crop
    return Photo(encode(final), final.width, final.height, measures, hints(measures))


def measure(crop: Image.Image) -> dict[str, float]:
    """brightness (0-255), under_exposed and over_exposed (shares), contrast, sharpness, resolution (pixels
    high).
    """
    small = crop.convert("L").resize(LEAST_CROP, Image.Resampling.BOX, reducing_gap=2.0)
    light: Grid = np.asarray(small, np.float32)
    values = {
        "brightness": float(light.mean()),
        "under_exposed": float((light <= BLACK).mean()),
        "over_exposed": float((light >= WHITE).mean()),
        "contrast": float(light.std()),
        "sharpness": _sharpness(light),
        "resolution": float(crop.height),
    }
    return {name: round(value, 3) for name, value in values.items()}


def hints(measures: dict[str, float]) -> tuple[str, ...]:
    found = []
    if measures["brightness"] < DARK or measures["under_exposed"] > LOST_MAX:
        found.append("too-dark")
    if measures["brightness"] > BRIGHT or measures["over_exposed"] > LOST_MAX:
        found.append("too-bright")
    if measures["contrast"] < CONTRAST_MIN:
        found.append("low-contrast")
    if measures["sharpness"] < SHARP_MIN:
        found.append("blurred")
    return tuple(found)


def _sharpness(light: Grid) -> float:
    """Variance of the four-neighbour Laplacian: small where no edge is crisp."""
    centre = light[1:-1, 1:-1]
    around = light[:-2, 1:-1] + light[2:, 1:-1] + light[1:-1, :-2] + light[1:-1, 2:]
    return float((around - 4 * centre).var())
