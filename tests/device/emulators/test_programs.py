"""The emulators as programs: seen from the wire with nothing of ours in between, and tidy when they end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import serial
from PIL import Image

from device.emulators import make_fingers, portrait, ridges
from device.emulators.__main__ import PROGRAMS, main
from device.emulators.control import ask
from tests.device.emulators.started import started, strokes_file
from tests.mosquitto import until

SW_GREY = bytes.fromhex("40010000000030000000 6c dd 0a".replace(" ", ""))
SI = bytes.fromhex("4015000000000000000000550a")


@pytest.fixture(scope="module")
def finger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("finger") / "finger.png"
    Image.fromarray(ridges.touch(ridges.master(11, rounds=3), ridges.Touch(), seed=1)).save(path)
    return path


def port(link: Path, **options: object) -> serial.Serial:
    return serial.Serial(str(link), 115200, timeout=3, exclusive=True, **options)


def test_the_module_speaks_as_its_manual_says(tmp_path: Path, finger: Path) -> None:
    with (
        started("finger", "--link", tmp_path / "tty", "--baud", 0, "--image", finger, "--delay", 0),
        port(tmp_path / "tty") as line,
    ):
        line.write(bytes.fromhex("4003000000000000000068ab0a"))  # SR sensor type
        assert line.read(13) == bytes.fromhex("4003000000003300000061d70a")
        line.write(SW_GREY)
        assert line.read(13)[10] == 0x61
        line.write(SI)
        assert line.read(13) == bytes.fromhex("401500000000000000 0062b70a".replace(" ", ""))
        answer = line.read(13)
        assert (answer[1], answer[10], int.from_bytes(answer[6:10], "little")) == (0x15, 0x61, 87068)
        image = line.read(87069)
    assert image[:28] == b"".join(n.to_bytes(4, "little") for n in (272, 320, 0, 0, 0, 87040, 0))
    assert image[28:-1] == Image.open(finger).tobytes()
    assert image[-1:] == b"\x0a"


def test_out_of_the_box_the_module_sends_binary_images(tmp_path: Path, finger: Path) -> None:
    """The dump of a real module that was decoded in public: 29 bytes more than 272x320 bits, format 1."""
    with (
        started("finger", "--link", tmp_path / "tty", "--baud", 0, "--image", finger, "--delay", 0),
        port(tmp_path / "tty") as line,
    ):
        line.write(SI)
        line.read(26)
        image = line.read(10909)
    assert list(image[:28]) == [16, 1, 0, 0, 64, 1, 0, 0, *[0] * 8, 1, 0, 0, 0, 0, 84, 1, 0, *[0] * 4]
    bits = np.unpackbits(np.frombuffer(image[28:-1], np.uint8), bitorder="little").reshape(320, 272)
    assert np.array_equal(bits, np.asarray(Image.open(finger)) > 127)


def test_a_waiting_module_is_busy_until_cancelled_or_timed_out(tmp_path: Path) -> None:
    with (
        started("finger", "--link", tmp_path / "tty", "--baud", 0),
        port(tmp_path / "tty") as line,
    ):
        line.write(bytes.fromhex("40010000000031000000 62d40a".replace(" ", "")))  # time-out 1 s
        assert line.read(13)[10] == 0x61
        line.write(SI)
        line.write(SW_GREY)
        assert line.read(13)[10] == 0x80
        line.write(bytes.fromhex("4060000000000000000000a00a"))
        assert [line.read(13)[1], line.read(13)[1]] == [0x15, 0x60]
        line.write(SI)
        began = time.monotonic()
        assert line.read(13)[10] == 0x6C
        assert 0.8 < time.monotonic() - began < 10


def test_true_speed_is_the_speed_of_the_line(tmp_path: Path, finger: Path) -> None:
    with (
        started("finger", "--link", tmp_path / "tty", "--baud", 115200, "--image", finger, "--delay", 0),
        port(tmp_path / "tty") as line,
    ):
        line.write(SW_GREY + SI)
        line.read(39)
        began = time.monotonic()
        assert len(line.read(11520)) == 11520
        taken = time.monotonic() - began
    assert 0.95 < taken < 10  # 11 520 bytes of 10 bits at 115 200 bit/s are one second


def test_images_come_in_turn_and_the_control_socket_lays_another(tmp_path: Path) -> None:
    shades = {}
    for name, shade in (("a", 10), ("b", 90), ("c", 200)):
        shades[name] = tmp_path / f"{name}.png"
        Image.new("L", (272, 320), shade).save(shades[name])
    control = tmp_path / "control"
    turns = ("--image", shades["a"], "--image", shades["b"], "--delay", 0)
    with (
        started("finger", "--link", tmp_path / "tty", "--baud", 0, "--control", control, *turns),
        port(tmp_path / "tty") as line,
    ):
        line.write(SW_GREY)
        line.read(13)
        seen = []
        for number in range(5):
            if number == 3:
                ask(control, do="finger", image=str(shades["c"]))
            line.write(SI)
            line.read(26)
            seen.append(line.read(87069)[28])
        assert seen == [10, 90, 10, 200, 200]
        for wrong in ({"do": "dance"}, {"do": "finger", "image": "/nowhere"}, {"do": "answer"}, {}):
            with pytest.raises(ValueError, match="Error"):
                ask(control, **wrong)


def test_the_pad_streams_by_itself_when_it_is_opened_each_time(tmp_path: Path) -> None:
    stroke = strokes_file(tmp_path / "strokes.json", [(100, 200), (100, 226)])
    control = tmp_path / "control"
    with started(
        "signpad", "--link", tmp_path / "tty", "--baud", 0, "--strokes", stroke, "--control", control
    ):
        for _ in range(3):
            until(lambda: not ask(control, do="state")["open"])
            with port(tmp_path / "tty", parity=serial.PARITY_ODD) as line:
                stream = line.read(5 * 28)
            packets = [stream[n : n + 5] for n in range(0, len(stream), 5)]
            assert all(p[0] & 0x80 and not any(b & 0x80 for b in p[1:]) for p in packets)
            down = [(p[1] | p[2] << 7, p[3] | p[4] << 7) for p in packets if p[0] & 1 and not p[0] & 0x1C]
            assert down == [(600, 900), (600, 913), (600, 926)]
            assert sum(p[0] >> 2 & 7 == 7 for p in packets) == 1


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_an_emulator_takes_its_link_and_socket_away(tmp_path: Path, signal_number: int) -> None:
    link, control = tmp_path / "tty", tmp_path / "control"
    with started("signpad", "--link", link, "--control", control) as program:
        assert link.is_symlink()
        assert control.exists()
        program.send_signal(signal_number)
        assert program.wait(30) == 0
    assert list(tmp_path.iterdir()) == []


def test_an_emulator_dies_with_its_parent(tmp_path: Path) -> None:
    link = tmp_path / "tty"
    command = [sys.executable, "-m", "device.emulators", "signpad", "--link", str(link), "--die-with-parent"]
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import subprocess, time; subprocess.Popen({command!r}).stdout; time.sleep(60)",
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        until(link.is_symlink)
    finally:
        parent.kill()
        parent.wait()
    until(lambda: not link.is_symlink())


@pytest.mark.parametrize(
    "arguments",
    [
        ["finger", "--link", "tty", "--driver", "zfm"],
        ["finger", "--link", "tty", "--image", "/nowhere"],
        ["finger", "--link", "tty", "--faults", "/nowhere"],
        ["signpad", "--link", "tty", "--strokes", "/nowhere"],
        ["camera", "--folder", "frames", "--fps", "0"],
        ["camera", "--folder", "frames", "--portrait", "/nowhere"],
        ["make-fingers", "--out", "fingers", "--count", "0"],
        ["signpad"],
    ],
)
def test_wrong_use_is_exit_2(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "device.emulators", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(portrait.ROOT)},
    )
    assert done.returncode == 2
    assert "error" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_emulator_is_exit_2_and_help_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dance"]) == 2
    assert main([]) == 2
    assert main(["--help"]) == 0
    told = capsys.readouterr().err
    assert all(name in told for name in PROGRAMS)


def test_the_emulated_camera_never_gives_the_same_frame_twice(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    seen = {}
    with started("camera", "--folder", folder, "--fps", 30):
        until = time.monotonic() + 1
        while time.monotonic() < until:
            for frame in list(folder.glob("*.jpg")):
                try:
                    seen[frame.name] = frame.read_bytes()
                except FileNotFoundError:
                    continue
            assert len(list(folder.glob("*.jpg"))) <= 5
    assert len(seen) > 12
    assert len(set(seen.values())) == len(seen)
    assert not folder.exists()


def test_the_emulated_camera_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with started("camera", "--folder", tmp_path, "--fps", 30):
        time.sleep(0.1)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_fingers_are_the_same_for_the_same_seed_and_differ_otherwise(tmp_path: Path) -> None:
    runs = []
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        asked = ["--out", str(tmp_path / name), "--seed", str(seed), "--count", "1", "--touches", "2"]
        assert main(["make-fingers", *asked]) == 0
        runs.append([path.read_bytes() for path in sorted((tmp_path / name).iterdir())])
    one, again, two = runs
    assert one == again
    assert not set(one) & set(two)
    with Image.open(tmp_path / "one" / "f01-2.png") as picture:
        assert (picture.size, picture.mode) == ((272, 320), "L")
        assert picture.info["dpi"] == pytest.approx((500, 500), abs=0.1)


def test_touches_of_a_finger_differ_in_place_turn_and_pressure() -> None:
    hows = make_fingers.touches(5, 4)
    assert hows[0] == ridges.Touch()
    assert len({how.turn for how in hows}) == 4


def test_the_portrait_is_there_already_and_nothing_is_fetched(tmp_path: Path) -> None:
    there = tmp_path / "portrait.jpg"
    there.write_bytes(b"somebody")
    assert portrait.main(["--out", str(there)]) == 0
    assert there.read_bytes() == b"somebody"


def test_the_portraits_wheel_is_pinned_by_hash_in_the_lock() -> None:
    wanted = "scikit-image==0.26.0 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
    others = "numpy==2 \\\n    --hash=sha256:aa\n", "scipy==1 \\\n    --hash=sha256:dd\n"
    assert portrait.pinned(others[0] + wanted + others[1]) == wanted
    assert portrait.pinned(others[0] + wanted) == wanted
    for bad in ("numpy==2", "scikit-image==0.26.0\n"):
        with pytest.raises(portrait.NoPortrait):
            portrait.pinned(bad)


def test_the_portrait_is_cut_to_a_passport_like_picture(tmp_path: Path) -> None:
    Image.new("RGB", (512, 512), (120, 130, 140)).save(tmp_path / "astronaut.png")
    portrait.cut(tmp_path / "astronaut.png", tmp_path / "build" / "portrait.jpg")
    with Image.open(tmp_path / "build" / "portrait.jpg") as picture:
        assert picture.size == (900, 1200)
    assert json.dumps([p.name for p in (tmp_path / "build").iterdir()]) == '["portrait.jpg"]'
