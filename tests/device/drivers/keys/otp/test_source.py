"""The fuses of a Raspberry Pi as key source, against the emulated firmware at the bytes of its mailbox."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device.drivers.keys.otp.source import OtpKeySource
from device.errors import Code, KitError

KEY, OTHER = "11223344" * 8, "55667788" * 8
Start = Callable[..., Path]


@pytest.fixture
def firmware(tmp_path: Path) -> Iterator[Start]:
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> Path:
        where = tmp_path / f"vcio{len(running)}"
        command = [sys.executable, "-m", "device.emulators", "fuses", "--socket", str(where), *arguments]
        program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(program)
        assert program.stdout is not None
        assert json.loads(program.stdout.readline())["ready"]
        return where

    yield start
    for program in running:
        program.terminate()
        program.wait()
        assert program.stdout is not None
        program.stdout.close()


def test_a_board_gives_the_same_secret_always_and_another_board_another(firmware: Start) -> None:
    one, two = OtpKeySource(firmware("--key", KEY)), OtpKeySource(firmware("--key", OTHER))
    assert one.device_secret() == one.device_secret() != two.device_secret()
    assert len(one.device_secret()) == 32
    assert one.device_secret().hex() != KEY, "the key itself is in no use of ours"
    enclosed = one.enclose(b"p" * 32)
    assert one.release(enclosed.ticket, b"q" * 32) == enclosed.secret == one.device_secret()
    one.forget(enclosed.ticket)
    assert one.protection == "reduced", "whoever has the board can read it"


@pytest.mark.parametrize(
    ("arguments", "says"), [((), "no device key was written"), (("--old",), "does not know the device key")]
)
def test_a_board_without_a_key_says_so(firmware: Start, arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(KitError, match=says) as failure:
        OtpKeySource(firmware(*arguments)).device_secret()
    assert failure.value.code == Code.BAD_CONFIG


def test_what_is_no_mailbox_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for device, code in (
        (tmp_path / "file", Code.BAD_CONFIG),
        (tmp_path / "none", Code.KEY_SOURCE_GONE),
        (Path("/dev/null"), Code.KEY_SOURCE_GONE),  # answers no ioctl
    ):
        with pytest.raises(KitError) as failure:
            OtpKeySource(device).device_secret()
        assert failure.value.code == code
