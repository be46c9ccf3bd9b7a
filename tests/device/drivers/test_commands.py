"""scan-finger and sign as the command line runs them: files, JSON, exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device.drivers.fingerprint.command import scan_finger_command
from device.drivers.signpad.command import sign_command
from device.emulators import ridges
from tests.device.emulators.started import started


@pytest.fixture(scope="module")
def finger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("finger") / "finger.png"
    Image.fromarray(ridges.touch(ridges.master(11, rounds=5), ridges.Touch(), seed=1)).save(path)
    return path


def test_scan_finger_writes_a_png_of_500_ppi_and_tells_its_quality(
    tmp_path: Path, finger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.png"
    with started("finger", "--link", tmp_path / "tty", "--baud", 0, "--image", finger):
        assert scan_finger_command("suprema-sfm", str(tmp_path / "tty"), out, 10, True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["measure"] == "thuisloket-1-draft"
    assert (told["width"], told["height"], told["ppi"], told["hints"]) == (272, 320, 500, [])
    assert told["score"] > 75
    with Image.open(out) as picture:
        assert picture.info["dpi"] == pytest.approx((500, 500), abs=0.1)
        assert np.array_equal(np.asarray(picture), np.asarray(Image.open(finger)))


def test_sign_writes_svg_and_png(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with started("signpad", "--link", tmp_path / "tty", "--baud", 0):
        assert sign_command("topaz-siglite", str(tmp_path / "tty"), tmp_path / "mark", 10, True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["strokes"] == 4
    assert (tmp_path / "mark.svg").read_text().startswith("<svg ")
    with Image.open(tmp_path / "mark.png") as picture:
        assert picture.width == 900


def test_without_json_the_same_in_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with started("signpad", "--link", tmp_path / "tty", "--baud", 0):
        assert sign_command("topaz-siglite", str(tmp_path / "tty"), tmp_path / "mark", 10, False) == 0
    out, err = capsys.readouterr()
    assert "strokes: 4" in out
    assert err.splitlines() == ["sign", "signing", "sign-done"]


@pytest.mark.parametrize("command", [scan_finger_command, sign_command])
def test_an_absent_device_is_exit_4_with_code_and_remedy(
    command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    driver = "suprema-sfm" if command is scan_finger_command else "topaz-siglite"
    assert command(driver, str(tmp_path / "tty"), tmp_path / "out", 1, True) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert "peripheral-absent (remedy: officer)" in err


@pytest.mark.parametrize("command", [scan_finger_command, sign_command])
def test_an_unknown_driver_is_exit_2(command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("zfm", "/dev/null", tmp_path / "out", 1, True) == 2
    assert "known:" in capsys.readouterr().err


def test_a_failed_capture_is_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with started("finger", "--link", tmp_path / "tty", "--baud", 0):
        assert scan_finger_command("suprema-sfm", str(tmp_path / "tty"), tmp_path / "out", 0.5, True) == 1
    assert "no-finger (remedy: retry)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_file_that_cannot_be_written_is_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with started("signpad", "--link", tmp_path / "tty", "--baud", 0):
        nowhere = tmp_path / "no" / "such" / "folder"
        assert sign_command("topaz-siglite", str(tmp_path / "tty"), nowhere, 10, True) == 1
    assert "cannot write" in capsys.readouterr().err


def test_ctrl_c_is_exit_130_and_leaves_the_port_free(tmp_path: Path) -> None:
    call = (
        "import sys; from device.drivers.fingerprint.command import scan_finger_command as scan;"
        f"sys.exit(scan('suprema-sfm', {str(tmp_path / 'tty')!r}, {str(tmp_path / 'out')!r}, 30, False))"
    )
    with started("finger", "--link", tmp_path / "tty", "--baud", 0):
        program = subprocess.Popen([sys.executable, "-c", call], stderr=subprocess.PIPE, text=True)
        assert program.stderr is not None
        with program.stderr as told:
            assert told.readline() == "place-finger\n"
            time.sleep(0.2)
            os.kill(program.pid, signal.SIGINT)
            assert "cancelled" in told.read()
        assert program.wait(10) == 130
        assert scan_finger_command("suprema-sfm", str(tmp_path / "tty"), tmp_path / "out", 0.3, True) == 1
