"""One finger, made once, and a module to lay it on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device.emulators import ridges


@pytest.fixture(scope="session")
def finger_pixels() -> np.ndarray:
    """A good touch, 320 rows of 272."""
    return ridges.touch(ridges.master(11), ridges.Touch(), seed=1)


@pytest.fixture(scope="session")
def finger_png(finger_pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("finger") / "finger.png"
    Image.fromarray(finger_pixels).save(path)
    return path
