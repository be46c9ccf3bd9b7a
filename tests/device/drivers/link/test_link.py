"""The serial line on real pseudo-terminals: settings, deadlines, and every way it breaks."""

import os
import pty
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.drivers.link import Line, SerialLink
from device.errors import Code
from tests.device.drivers.asking import fails, open_descriptors


class Far:
    """The far end of a line."""

    def __init__(self) -> None:
        self.fd, slave = pty.openpty()
        tty.setraw(slave)
        self.name = os.ttyname(slave)
        os.close(slave)

    def say(self, data: bytes) -> None:
        os.write(self.fd, data)

    def hang_up(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@pytest.fixture
def far() -> Iterator[Far]:
    end = Far()
    yield end
    end.hang_up()


def test_parity_speed_and_bits_reach_the_port(far: Far) -> None:
    with SerialLink.open(Line(far.name, 19200, parity="O")) as link:
        port = link.port
        assert (port.baudrate, port.bytesize, port.parity, port.stopbits) == (19200, 8, "O", 1)
        assert port.exclusive


def test_bytes_go_both_ways(far: Far) -> None:
    with SerialLink.open(Line(far.name, 115200)) as link:
        link.write(b"\x00\x03\x0d\x0a\x11\x13\xff")
        assert os.read(far.fd, 100) == b"\x00\x03\x0d\x0a\x11\x13\xff"
        far.say(b"\x00\x03\x0d\x0a\x11\x13\xff")
        assert link.read(1) == b"\x00\x03\x0d\x0a\x11\x13\xff"


def test_a_read_ends_at_its_deadline(far: Far) -> None:
    with SerialLink.open(Line(far.name, 115200)) as link:
        began = time.monotonic()
        assert link.read(0.2) == b""
        assert 0.19 < time.monotonic() - began < 5
        assert link.read(0) == b""
        assert link.read(-5) == b""


def test_draining_ends_with_silence(far: Far) -> None:
    with SerialLink.open(Line(far.name, 115200)) as link:
        far.say(b"stale" * 100)
        assert link.drain(0.05) == 500
        assert link.read(0.05) == b""


def test_a_line_that_never_falls_silent_is_given_up(far: Far) -> None:
    with SerialLink.open(Line(far.name, 115200)) as link:
        far.say(b"x" * 3000)
        with fails(Code.PERIPHERAL_PROTOCOL):
            link.drain(0.05, limit_s=-1)


@pytest.mark.parametrize("act", [lambda link: link.read(0.5), lambda link: link.drain(0.5)])
def test_a_pulled_plug_is_peripheral_gone(far: Far, act) -> None:
    with SerialLink.open(Line(far.name, 115200)) as link:
        far.hang_up()
        with fails(Code.PERIPHERAL_GONE):
            act(link)


def test_writing_to_a_pulled_plug_is_peripheral_gone(far: Far) -> None:
    with SerialLink.open(Line(far.name, 115200)) as link:
        far.hang_up()
        with fails(Code.PERIPHERAL_GONE):
            link.write(b"hello")


def test_a_line_that_takes_no_bytes_times_out(far: Far) -> None:
    with SerialLink.open(Line(far.name, 115200)) as link, fails(Code.TIMED_OUT):
        link.write(b"x" * 1_000_000)


def test_closing_a_hung_up_line_is_quiet_and_leaves_no_descriptor(far: Far) -> None:
    before = open_descriptors()
    link = SerialLink.open(Line(far.name, 115200))
    far.hang_up()
    link.close()
    assert open_descriptors() == before - 1  # the far end went too


def test_the_port_is_ours_alone(far: Far) -> None:
    with SerialLink.open(Line(far.name, 115200)), fails(Code.PERIPHERAL_BUSY):
        SerialLink.open(Line(far.name, 115200))


def test_no_such_port_is_absent(tmp_path: Path) -> None:
    line = Line(str(tmp_path / "tty"), 115200)
    assert not line.present()
    with fails(Code.PERIPHERAL_ABSENT):
        SerialLink.open(line)


def test_a_plain_file_is_no_port(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    with fails(Code.PERIPHERAL_ABSENT):
        SerialLink.open(Line(str(path), 115200))
