"""The folder camera: the newest frame wins, it says EXAMPLE, and it notices a picture that stands still."""

import threading
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from device.drivers.camera import folder
from device.emulators.control import ask
from device.errors import Code
from tests.device.drivers.asking import Asked, fails
from tests.device.drivers.camera.pictures import jpeg, opened, scene
from tests.device.emulators.started import started


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A folder, a clock that goes when told, and the camera."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.camera = folder.FolderCamera(folder.Settings(path=str(path)), self.clock)

    def drop(self, number: int, shade: int = 0) -> None:
        self.path.mkdir(exist_ok=True)
        fresh = self.path / "fresh"
        fresh.write_bytes(jpeg(scene(shade=shade)))
        fresh.rename(self.path / f"{number:08d}.jpg")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "frames")


def test_no_folder_is_gone_and_an_empty_one_absent(bench: Bench) -> None:
    assert bench.camera.condition().state == "missing"
    with fails(Code.PERIPHERAL_GONE):
        bench.camera.preview()
    bench.path.mkdir()
    with fails(Code.PERIPHERAL_ABSENT):
        bench.camera.preview()


def test_it_is_an_example_and_never_quite_healthy(bench: Bench) -> None:
    bench.drop(1)
    condition = bench.camera.condition()
    assert (condition.state, condition.example) == ("degraded", True)


def test_the_newest_frame_wins_and_other_files_do_not_count(bench: Bench) -> None:
    bench.drop(9, shade=-60)
    bench.drop(10)
    (bench.path / "99999999.jpg.part").write_bytes(b"x")
    (bench.path / "newest.jpg").write_bytes(b"x")
    assert np.asarray(opened(bench.camera.preview()))[320, 100].mean() > 180


def test_a_picture_that_stands_still_is_a_frozen_camera(bench: Bench) -> None:
    bench.drop(1)
    bench.camera.preview()
    bench.clock.now += 2.9
    bench.camera.preview()
    bench.clock.now += 0.2
    with fails(Code.CAMERA_FROZEN):
        bench.camera.preview()
    assert bench.camera.condition().state == "missing"
    bench.drop(2)  # a new name, the same picture to the last bit
    with fails(Code.CAMERA_FROZEN):
        bench.camera.preview()
    bench.drop(3, shade=1)
    bench.camera.preview()


def test_a_still_waits_for_a_frame_that_is_new(bench: Bench) -> None:
    bench.drop(1)
    threading.Timer(0.2, lambda: bench.drop(2, shade=3)).start()
    asked = Asked()
    photo = bench.camera.capture(asked.capture)
    assert (photo.width, photo.height) == (827, 1063)
    assert asked.codes == ["taking-photo", "judging-photo"]
    letters = np.asarray(opened(photo.jpeg))[:90]
    assert ((letters[..., 0] > 150) & (letters[..., 1] < 70)).sum() > 500


def test_no_new_frame_is_a_frozen_camera(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "frames")
    bench.drop(1)
    camera = folder.open_driver(folder.Settings(path=str(bench.path), frozen_after_s=0.3))
    began = time.monotonic()
    with fails(Code.CAMERA_FROZEN):
        camera.capture(Asked().capture)
    assert time.monotonic() - began < 5


def test_a_still_can_be_cancelled(bench: Bench) -> None:
    bench.drop(1)
    asked = Asked()
    threading.Timer(0.1, asked.cancel.set).start()
    with fails(Code.CANCELLED):
        bench.camera.capture(asked.capture)


@pytest.mark.parametrize("data", [b"", b"no jpeg", jpeg(scene())[:5000]])
def test_a_frame_that_is_no_jpeg_is_refused(bench: Bench, data: bytes) -> None:
    bench.path.mkdir()
    (bench.path / "00000001.jpg").write_bytes(data)
    with fails(Code.PERIPHERAL_PROTOCOL):
        bench.camera.preview()


def test_a_closed_camera_refuses(bench: Bench) -> None:
    bench.drop(1)
    bench.camera.close()
    with fails(Code.PERIPHERAL_ABSENT):
        bench.camera.preview()


def test_with_the_emulated_camera_unplugged_frozen_and_back(tmp_path: Path) -> None:
    path, control = tmp_path / "frames", tmp_path / "control"
    camera = folder.open_driver(folder.Settings(path=str(path), frozen_after_s=0.5))
    with started("camera", "--folder", path, "--control", control, "--fps", 20):
        first = camera.preview()
        photo = camera.capture(Asked().capture)
        assert photo.hints == ()
        assert camera.preview() != first
        ask(control, do="freeze")
        with fails(Code.CAMERA_FROZEN):
            camera.capture(Asked().capture)
        ask(control, do="run")
        time.sleep(0.2)
        camera.capture(Asked().capture)
        ask(control, do="unplug")
        with fails(Code.PERIPHERAL_GONE):
            camera.preview()
        ask(control, do="plug")
        time.sleep(0.2)
        camera.capture(Asked().capture)
    assert not path.exists()


def test_settings_are_checked() -> None:
    for wrong in ({}, {"path": "x", "fps": 1}, {"path": "x", "frozen_after_s": 0.0}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, folder.Settings)
