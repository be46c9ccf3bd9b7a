"""The draft finger measure: good prints pass, and each way to be bad has its name."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from device.drivers.fingerprint import judge
from device.emulators import ridges

W, H = 272, 320


def judged(picture: Image.Image, ppi: int = 500) -> judge.Judgement:
    grey = picture.convert("L")
    return judge.judge(grey.tobytes(), grey.width, grey.height, ppi)


def upper(share: float) -> Callable[[Image.Image], Image.Image]:
    def cut(finger: Image.Image) -> Image.Image:
        part = Image.new("L", (W, H), 245)
        part.paste(finger.crop((0, 0, W, int(H * share))), (0, 0))
        return part

    return cut


def aside(finger: Image.Image) -> Image.Image:
    moved = Image.new("L", (W, H), 245)
    moved.paste(finger, (90, 0))
    return moved


def paler(factor: float) -> Callable[[Image.Image], Image.Image]:
    return lambda finger: finger.point(lambda value: int(200 + (value - 200) * factor))


def noise(_: Image.Image) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (H, W), dtype=np.uint8))


def sensor_noise(_: Image.Image) -> Image.Image:
    pixels = np.random.default_rng(1).normal(240, 4, (H, W))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


BAD = {
    "white": (lambda _: Image.new("L", (W, H), 255), "blank"),
    "black": (lambda _: Image.new("L", (W, H), 0), "blank"),
    "sensor noise": (sensor_noise, "blank"),
    "noise": (noise, "not-a-finger"),
    "out of focus": (lambda f: f.filter(ImageFilter.GaussianBlur(3)), "low-contrast"),
    "half the resolution": (lambda f: f.resize((W // 2, H // 2)), "not-a-finger"),
    "contrast 0.3": (paler(0.3), "low-contrast"),
    "contrast 0.1": (paler(0.1), "low-contrast"),
    "tip only": (upper(0.2), "partial"),
    "upper half": (upper(0.5), "partial"),
    "at the edge": (aside, "off-centre"),
    "dry": (lambda f: f.filter(ImageFilter.MaxFilter(3)), "too-dry"),
    "wet": (lambda f: f.filter(ImageFilter.MinFilter(3)), "too-wet"),
    "very wet": (lambda f: f.filter(ImageFilter.MinFilter(5)), "too-wet"),
}


@pytest.mark.parametrize(("change", "hint"), BAD.values(), ids=BAD.keys())
def test_a_bad_image_is_named(finger_pixels: np.ndarray, change: Callable, hint: str) -> None:
    judgement = judged(change(Image.fromarray(finger_pixels)))
    assert hint in judgement.hints
    assert judgement.measures["score"] < 85


@pytest.mark.parametrize("seed", range(4))
def test_a_good_touch_of_any_finger_has_no_hints(seed: int) -> None:
    how = ridges.Touch(dx=6, dy=-8, turn=5, pressure=0.3, moisture=-0.3)
    judgement = judged(Image.fromarray(ridges.touch(ridges.master(20 + seed, rounds=5), how, seed)))
    assert judgement.hints == ()
    assert judgement.measures["score"] > 75


def test_a_dry_finger_is_told_from_a_good_one(finger_pixels: np.ndarray) -> None:
    dry = ridges.touch(ridges.master(11), ridges.Touch(moisture=-1), seed=3)
    assert "too-dry" in judged(Image.fromarray(dry)).hints


def test_the_score_falls_with_the_contrast(finger_pixels: np.ndarray) -> None:
    finger = Image.fromarray(finger_pixels)
    scores = [judged(paler(factor)(finger)).measures["score"] for factor in (1, 0.6, 0.4, 0.3, 0.1)]
    assert scores == sorted(scores, reverse=True)


def test_another_resolution_is_refused_whatever_it_looks_like(finger_pixels: np.ndarray) -> None:
    assert judged(Image.fromarray(finger_pixels), ppi=508).hints == ("wrong-resolution",)


def test_pixels_that_do_not_fill_the_size_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="reshape"):
        judge.judge(bytes(10), 272, 320, 500)


@pytest.mark.skipif(
    "THUISLOKET_VECTORS" not in os.environ, reason="prints of another generator lie elsewhere"
)
def test_prints_of_an_independent_generator_pass() -> None:
    prints = sorted((Path(os.environ["THUISLOKET_VECTORS"]) / "fingers").glob("sfinge_*_a.png"))
    assert prints
    for path in prints:
        judgement = judged(Image.open(path))
        assert judgement.hints == ()
        assert judgement.measures["score"] > 80
