"""JPEGs are bounded before they are decoded, cropped, marked when an example, and lose their metadata."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter

from device.drivers.camera import photo
from device.drivers.camera.frame import (
    LARGEST_FILE,
    BadFrame,
    crop_35x45,
    decode,
    marked,
    preview,
    size_of,
)
from device.errors import Code
from tests.device.drivers.asking import fails
from tests.device.drivers.camera.pictures import jpeg, opened, scene

GOOD = jpeg(scene())


def with_size(width: int, height: int) -> bytes:
    """The good JPEG, claiming another size."""
    place = GOOD.index(b"\xff\xc0") + 5
    return GOOD[:place] + struct.pack(">HH", height, width) + GOOD[place + 4 :]


def test_the_size_is_read_without_decoding() -> None:
    assert size_of(GOOD) == (900, 1200)
    assert size_of(jpeg(scene(), progressive=True)) == (900, 1200)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        GOOD[:100],
        GOOD[2:],
        with_size(65500, 65500),
        with_size(8000, 8000),
        with_size(9000, 600),
        with_size(0, 0),
        with_size(10, 10),
        b"\xff\xd8" + b"\xff\xda" + bytes(50),
        b"\xff\xd8" + b"\xff\xc3" + bytes(50),
        GOOD + bytes(LARGEST_FILE),
    ],
    ids=lambda data: f"{len(data)} bytes",
)
def test_what_is_no_bounded_jpeg_is_refused(data: bytes) -> None:
    with pytest.raises(BadFrame):
        size_of(data)


@given(st.binary(max_size=300))
def test_noise_behind_a_jpegs_first_bytes_is_refused_or_measured(noise: bytes) -> None:
    try:
        width, height = size_of(b"\xff\xd8" + noise)
    except BadFrame:
        return
    assert width * height <= 40_000_000


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_torn_jpeg_is_refused(keep: float) -> None:
    with pytest.raises(BadFrame):
        decode(GOOD[: int(len(GOOD) * keep)])


def test_a_picture_turned_by_exif_stands_upright_and_loses_its_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker with a serial number"
    turned = jpeg(scene(1200, 900), exif=exif)
    assert decode(turned).size == (900, 1200)
    assert b"Exif" in turned
    assert b"Exif" not in photo.to_photo(turned, example=False).jpeg


@pytest.mark.parametrize(
    ("size", "crop"), [((900, 1200), (827, 1063)), ((1600, 1200), (827, 1063)), ((420, 900), (420, 540))]
)
def test_the_crop_is_35_by_45_around_the_middle(size: tuple[int, int], crop: tuple[int, int]) -> None:
    found = crop_35x45(scene(*size))
    assert found.size == crop
    assert found.width / found.height == pytest.approx(35 / 45, abs=0.002)
    middle = np.asarray(found)[found.height // 2, found.width // 2]
    assert abs(int(middle[0]) - 190) < 6


def test_an_example_says_so_in_the_pixels() -> None:
    plain, example = (np.asarray(opened(preview(GOOD, example=e)), np.int16) for e in (False, True))
    assert plain.shape == example.shape == (640, 480, 3)
    changed = np.abs(plain - example).max(axis=2) > 40
    assert changed[:80].mean() > 0.1
    assert changed[560:].mean() > 0.1
    assert changed[120:520].mean() < 0.001
    red = np.asarray(marked(Image.new("RGB", (480, 640), (90, 90, 90))))
    assert ((red[..., 0] > 150) & (red[..., 1] < 60)).sum() > 1000  # letters, not only a band


def test_a_small_frame_is_not_enlarged() -> None:
    assert opened(preview(jpeg(scene(300, 400)), example=False)).size == (300, 400)


def test_too_few_pixels_are_a_matter_for_the_workshop() -> None:
    with fails(Code.PHOTO_POOR):
        photo.to_photo(jpeg(scene(400, 520)), example=False)


def test_an_ordinary_picture_has_no_hints() -> None:
    taken = photo.to_photo(GOOD, example=False)
    assert taken.hints == ()
    assert (taken.width, taken.height) == opened(taken.jpeg).size == (827, 1063)
    assert taken.measures["resolution"] == 1063


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda p: ImageEnhance.Brightness(p).enhance(0.12), "too-dark"),
        (lambda p: ImageEnhance.Brightness(p).enhance(2.5), "too-bright"),
        (lambda p: ImageEnhance.Contrast(p).enhance(0.1), "low-contrast"),
        (lambda p: p.filter(ImageFilter.GaussianBlur(9)), "blurred"),
        (lambda p: p.resize((60, 80)).resize(p.size), "blurred"),
    ],
    ids=["dark", "blown out", "flat", "out of focus", "enlarged"],
)
def test_hints_name_what_is_wrong(change, hint: str) -> None:
    assert hint in photo.to_photo(jpeg(change(scene())), example=False).hints


def test_sharpness_falls_with_every_blur() -> None:
    values = [
        photo.measure(crop_35x45(scene().filter(ImageFilter.GaussianBlur(r))))["sharpness"] for r in range(6)
    ]
    assert values == sorted(values, reverse=True)
