"""The SFM driver against the module on a pseudo-terminal: plain, trickle, lossy, silent, unplugged."""

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from device.drivers.fingerprint import sfm
from device.emulators.control import ask
from device.errors import Code
from tests.device.drivers.asking import Asked, fails, open_descriptors
from tests.device.emulators.started import started


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory, finger_png: Path) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("sfm")
    link, control = folder / "tty", folder / "control"
    with started(
        "finger", "--link", link, "--control", control, "--baud", 0, "--image", finger_png, "--delay", 0.1
    ):
        yield SimpleNamespace(link=link, control=control)


@pytest.fixture
def scanner(module: SimpleNamespace) -> sfm.SfmScanner:
    ask(module.control, do="plug")
    ask(module.control, do="speak")
    ask(module.control, do="turns")
    return sfm.open_driver(sfm.Settings(port=str(module.link)))


FAULTS = {
    "plain": [],
    "bytes that trickle": [{"at": n, "do": "slow", "seconds": 0.02} for n in range(0, 120, 7)],
    "noise before every answer": [{"at": n, "unit": "packet", "do": "insert", "count": 3} for n in range(8)],
    "a changed byte in the first answer": [{"at": 3, "do": "flip"}],
    "an answer that is lost": [{"at": 1, "unit": "packet", "do": "drop"}],
    "a byte lost in the image": [{"at": 4000, "do": "drop"}],
    "a byte too many in the image": [{"at": 4000, "do": "insert"}],
    "a broken image header": [{"at": 13 * 8 + 2, "do": "flip"}],
    "silence in the middle of the image": [{"at": 9000, "do": "silence", "seconds": 0.3}],
    "the answer before the image lost": [{"at": 7, "unit": "packet", "do": "drop"}],
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_the_finger_is_read_whatever_the_line_does(
    scanner: sfm.SfmScanner, module: SimpleNamespace, finger_pixels: np.ndarray, fault: list[dict]
) -> None:
    ask(module.control, do="fault", script=fault)
    asked = Asked()
    image = scanner.capture(asked.capture)
    assert image.pixels == finger_pixels.tobytes()
    assert (image.width, image.height, image.ppi, image.hints) == (272, 320, 500, ())
    assert image.measures["score"] > 80
    assert asked.codes[0] == "place-finger"
    assert asked.codes[-1] == "judging-finger"


def test_progress_grows_while_the_image_arrives(tmp_path: Path, finger_png: Path) -> None:
    with started("finger", "--link", tmp_path / "tty", "--baud", 921600, "--image", finger_png, "--delay", 0):
        asked = Asked()
        began = time.monotonic()
        sfm.open_driver(sfm.Settings(port=str(tmp_path / "tty"), baud=921600)).capture(asked.capture)
        taken = time.monotonic() - began
    shares = [share for share, code in asked.told if code == "reading-finger"]
    assert shares == sorted(shares)
    assert len([share for share in shares if 0.1 < share < 0.95]) > 3
    assert 0.94 < taken < 20  # 87 082 bytes of 10 bits at 921 600 bit/s take 0.945 s


def test_a_module_says_what_it_is(scanner: sfm.SfmScanner) -> None:
    condition = scanner.condition()
    assert (condition.state, condition.serial, condition.firmware) == ("ok", "260001", "EMU1")
    assert condition.model == "Suprema SFM optical (OP)"


def test_no_finger_within_the_deadline(scanner: sfm.SfmScanner, module: SimpleNamespace) -> None:
    ask(module.control, do="no-finger")
    began = time.monotonic()
    with fails(Code.NO_FINGER):
        scanner.capture(Asked(0.6).capture)
    assert time.monotonic() - began < 10
    ask(module.control, do="turns")
    assert scanner.capture(Asked().capture).width == 272


def test_cancel_while_waiting_ends_at_once_and_the_next_capture_works(
    scanner: sfm.SfmScanner, module: SimpleNamespace
) -> None:
    ask(module.control, do="no-finger")
    asked = Asked(20)
    threading.Timer(0.3, asked.cancel.set).start()
    began = time.monotonic()
    with fails(Code.CANCELLED):
        scanner.capture(asked.capture)
    assert time.monotonic() - began < 10
    ask(module.control, do="turns")
    assert scanner.capture(Asked().capture).width == 272


@pytest.mark.parametrize(
    ("flag", "code"),
    [(0xB0, Code.FINGER_POOR), (0x75, Code.PERIPHERAL_REFUSED), (0xFE, Code.PERIPHERAL_REFUSED)],
)
def test_what_the_module_refuses(
    scanner: sfm.SfmScanner, module: SimpleNamespace, flag: int, code: Code
) -> None:
    ask(module.control, do="answer", flag=flag)
    with fails(code):
        scanner.capture(Asked().capture)


@pytest.mark.parametrize("flag", [0x63, 0x6B, 0x6C, 0x80, 0x81])
def test_a_scan_that_failed_is_asked_for_again(
    scanner: sfm.SfmScanner, module: SimpleNamespace, flag: int
) -> None:
    ask(module.control, do="answer", flag=flag)
    assert scanner.capture(Asked().capture).width == 272


def test_an_image_damaged_every_time_is_not_taken(scanner: sfm.SfmScanner, module: SimpleNamespace) -> None:
    ask(module.control, do="fault", script=[{"at": 2000, "do": "drop", "every": 50_000}])
    with fails(Code.PERIPHERAL_PROTOCOL):
        scanner.capture(Asked(20).capture)


def test_a_silent_module_times_out(scanner: sfm.SfmScanner, module: SimpleNamespace) -> None:
    ask(module.control, do="silence")
    with fails(Code.TIMED_OUT):
        scanner.capture(Asked(2).capture)
    assert scanner.condition().state == "missing"
    ask(module.control, do="speak")
    assert scanner.condition().state == "ok"


def test_unplugged_in_the_middle_of_an_image_and_plugged_in_again(
    scanner: sfm.SfmScanner, module: SimpleNamespace, finger_pixels: np.ndarray
) -> None:
    ask(module.control, do="fault", script=[{"at": 30_000, "do": "hangup"}])
    with fails(Code.PERIPHERAL_GONE):
        scanner.capture(Asked().capture)
    assert scanner.condition().state == "missing"
    with fails(Code.PERIPHERAL_ABSENT):
        scanner.capture(Asked().capture)
    ask(module.control, do="fault", script=[])
    ask(module.control, do="plug")
    assert scanner.capture(Asked().capture).pixels == finger_pixels.tobytes()


def test_unplugged_while_waiting_for_the_finger(scanner: sfm.SfmScanner, module: SimpleNamespace) -> None:
    ask(module.control, do="no-finger")
    threading.Timer(0.4, lambda: ask(module.control, do="unplug")).start()
    with fails(Code.PERIPHERAL_GONE):
        scanner.capture(Asked(10).capture)


def test_a_module_left_in_mid_answer_by_another_process_is_let_finish(
    scanner: sfm.SfmScanner, module: SimpleNamespace, finger_pixels: np.ndarray
) -> None:
    fd = os.open(module.link, os.O_RDWR | os.O_NOCTTY)
    os.write(fd, bytes.fromhex("4015000000000000000000550a"))  # SI, and away while the image arrives
    time.sleep(0.3)
    os.close(fd)
    assert scanner.capture(Asked().capture).pixels == finger_pixels.tobytes()


def test_a_second_capture_at_the_same_time_is_refused(
    scanner: sfm.SfmScanner, module: SimpleNamespace
) -> None:
    ask(module.control, do="no-finger")
    asked = Asked(10)
    failures: list[Code] = []

    def first() -> None:
        with fails(Code.CANCELLED) as raised:
            scanner.capture(asked.capture)
        failures.append(raised.value.code)

    thread = threading.Thread(target=first)
    thread.start()
    time.sleep(0.3)
    with fails(Code.PERIPHERAL_BUSY):
        scanner.capture(Asked().capture)
    other = sfm.open_driver(sfm.Settings(port=str(module.link)))
    with fails(Code.PERIPHERAL_BUSY):
        other.capture(Asked().capture)
    assert other.condition().state == "degraded"
    asked.cancel.set()
    thread.join(5)
    assert failures == [Code.CANCELLED]


def test_a_capture_waits_for_a_question_about_health(
    scanner: sfm.SfmScanner, module: SimpleNamespace
) -> None:
    ask(module.control, do="fault", script=[{"at": 0, "do": "silence", "seconds": 0.6}])
    states: list[str] = []
    thread = threading.Thread(target=lambda: states.append(scanner.condition().state))
    thread.start()
    time.sleep(0.2)
    assert scanner.capture(Asked().capture).width == 272
    thread.join(5)
    assert states == ["ok"]


def test_fifty_captures_leave_no_descriptor_behind(
    scanner: sfm.SfmScanner, module: SimpleNamespace, finger_png: Path
) -> None:
    ask(module.control, do="finger", image=str(finger_png))
    scanner.capture(Asked().capture)
    before = open_descriptors()
    for _ in range(50):
        scanner.capture(Asked().capture)
    assert open_descriptors() == before


def test_a_closed_driver_refuses(scanner: sfm.SfmScanner) -> None:
    scanner.close()
    with fails(Code.PERIPHERAL_ABSENT):
        scanner.capture(Asked().capture)


def test_no_port_no_module(tmp_path: Path) -> None:
    scanner = sfm.open_driver(sfm.Settings(port=str(tmp_path / "nothing")))
    assert scanner.condition().state == "missing"
    with fails(Code.PERIPHERAL_ABSENT):
        scanner.capture(Asked().capture)


def test_settings_say_where_they_are_wrong() -> None:
    assert msgspec.convert(json.loads('{"port": "/dev/x"}'), sfm.Settings).baud == 115200
    for wrong in ('{"port": "/dev/x", "bauds": 1}', '{"port": "/dev/x", "baud": 110}', "{}"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(json.loads(wrong), sfm.Settings)
