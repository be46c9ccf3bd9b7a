"""The Topaz driver against the pad on a pseudo-terminal: plain, trickle, lossy, silent, unplugged."""

import math
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from device.drivers.link import SerialLink
from device.drivers.signpad import topaz
from device.emulators.control import ask
from device.errors import Code
from device.ports import SignatureInk
from tests.device.drivers.asking import Asked, fails
from tests.device.emulators.started import started, strokes_file

PAUSE_S = 0.6


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("pad")
    link, control = folder / "tty", folder / "control"
    with started("signpad", "--link", link, "--control", control, "--baud", 0):
        yield SimpleNamespace(link=link, control=control, folder=folder)


@pytest.fixture
def pad(module: SimpleNamespace) -> topaz.TopazPad:
    ask(module.control, do="plug")
    ask(module.control, do="fault", script=[])
    ask(module.control, do="waiting")
    seen_closed(module)
    return topaz.open_driver(topaz.Settings(port=str(module.link), pause_s=PAUSE_S))


def seen_closed(module: SimpleNamespace) -> None:
    """The pad has seen that nobody has the line open: the next to open it gets a signature."""
    while ask(module.control, do="state")["open"]:
        time.sleep(0.01)


def sign(
    pad: topaz.TopazPad, asked: Asked | None = None, done: threading.Event | None = None
) -> SignatureInk:
    return pad.capture((asked or Asked()).capture, lambda ink: None, done or threading.Event())


def length(ink: SignatureInk) -> float:
    pairs = ((a, b) for s in ink.strokes for a, b in pairwise(s.points))
    return sum(math.dist(a, b) for a, b in pairs)


def test_a_signature_is_four_strokes_and_ends_when_the_pen_rests(pad: topaz.TopazPad) -> None:
    asked, seen = Asked(), []
    ink = pad.capture(asked.capture, seen.append, threading.Event())
    assert len(ink.strokes) == 4
    assert (ink.width, ink.height, ink.device) == (2150, 1400, "Topaz SigLite 1x5")
    assert all(0 <= x <= 2150 and 0 <= y <= 1400 for s in ink.strokes for x, y in s.points)
    assert seen[-1] == ink
    assert asked.codes == ["sign", "signing", "sign-done"]


@pytest.mark.parametrize(
    "fault",
    [
        [{"at": 0, "do": "slow", "seconds": 0.001, "every": 7}],
        [{"at": 60, "do": "insert", "every": 83}],
        [{"at": 0, "unit": "packet", "do": "drop", "every": 17}],
        [{"at": 30, "do": "drop", "every": 85}],
        [{"at": 30, "do": "drop", "every": 86}],
    ],
    ids=["trickle", "noise", "lost packets", "lost bytes, always the same", "lost bytes, all kinds"],
)
def test_a_bad_line_costs_little_ink_and_makes_none_up(
    pad: topaz.TopazPad, module: SimpleNamespace, fault: list[dict]
) -> None:
    whole = length(sign(pad))
    seen_closed(module)
    ask(module.control, do="fault", script=fault)
    found = sign(pad)
    assert 0.85 * whole < length(found) < 1.05 * whole


def test_live_ink_grows(tmp_path: Path) -> None:
    stroke = strokes_file(tmp_path / "strokes.json", [(200, 200), (900, 900), (1500, 300)])
    with started("signpad", "--link", tmp_path / "tty", "--strokes", stroke):
        began = time.monotonic()
        seen: list[SignatureInk] = []
        driver = topaz.open_driver(topaz.Settings(port=str(tmp_path / "tty"), pause_s=PAUSE_S))
        ink = driver.capture(Asked().capture, seen.append, threading.Event())
        taken = time.monotonic() - began
    lengths = [length(one) for one in seen]
    assert lengths == sorted(lengths)
    assert len(seen) > 3
    packets = len(ink.strokes[0].points) + 25
    # 5 bytes of 11 bits at 19 200 bit/s: 2.86 ms a packet; the hand takes 0.3 s to the pen.
    assert 0.3 + packets * 55 / 19200 + PAUSE_S < taken + 0.05
    assert taken < 0.3 + packets * 55 / 19200 + PAUSE_S + 10


@pytest.mark.parametrize(
    "strokes", [[], [[(500, 500)]], [[(500, 500), (510, 505)]]], ids=["nothing", "a dot", "a slip"]
)
def test_less_than_a_signature_is_refused(
    pad: topaz.TopazPad, module: SimpleNamespace, strokes: list
) -> None:
    ask(module.control, do="nothing")
    path = strokes_file(module.folder / "few.json", *strokes)
    done = threading.Event()
    threading.Timer(0.3, lambda: ask(module.control, do="sign", strokes=str(path))).start()
    threading.Timer(0.8, done.set).start()
    with fails(Code.EMPTY_SIGNATURE):
        sign(pad, done=done)


def test_done_ends_a_signature_without_waiting_for_the_pause(
    module: SimpleNamespace, pad: topaz.TopazPad
) -> None:
    slow = topaz.open_driver(topaz.Settings(port=str(module.link), pause_s=20))
    done = threading.Event()
    threading.Timer(1.0, done.set).start()
    began = time.monotonic()
    assert len(sign(slow, done=done).strokes) == 4
    assert time.monotonic() - began < 15


def test_nobody_signs_within_the_deadline(pad: topaz.TopazPad, module: SimpleNamespace) -> None:
    ask(module.control, do="nothing")
    with fails(Code.EMPTY_SIGNATURE):
        sign(pad, Asked(0.5))


def test_cancelled_in_the_middle(pad: topaz.TopazPad, module: SimpleNamespace) -> None:
    ask(module.control, do="nothing")
    asked = Asked(20)
    threading.Timer(0.2, asked.cancel.set).start()
    with fails(Code.CANCELLED):
        sign(pad, asked)


def test_unplugged_in_the_middle_of_a_stroke_and_plugged_in_again(
    pad: topaz.TopazPad, module: SimpleNamespace
) -> None:
    ask(module.control, do="fault", script=[{"at": 700, "do": "hangup"}])
    with fails(Code.PERIPHERAL_GONE):
        sign(pad)
    assert pad.condition().state == "missing"
    with fails(Code.PERIPHERAL_ABSENT):
        sign(pad)
    ask(module.control, do="fault", script=[])
    ask(module.control, do="plug")
    assert pad.condition().state == "ok"
    assert len(sign(pad).strokes) == 4


def test_the_port_is_opened_with_odd_parity(pad: topaz.TopazPad, module: SimpleNamespace) -> None:
    # A pseudo-terminal has no parity: what the real pyserial object was told is what can be known.
    ask(module.control, do="nothing")
    with SerialLink.open(pad.line) as link:
        port = link.port
        assert (port.baudrate, port.bytesize, port.parity, port.stopbits) == (19200, 8, "O", 1)
        assert port.exclusive


def test_a_closed_pad_refuses(pad: topaz.TopazPad) -> None:
    pad.close()
    with fails(Code.PERIPHERAL_ABSENT):
        sign(pad)


def test_settings_are_checked() -> None:
    assert msgspec.convert({"port": "/dev/x"}, topaz.Settings).pause_s == 3.0
    for wrong in ({"port": "/dev/x", "pause": 1}, {"port": "/dev/x", "pause_s": 0.0}, {}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, topaz.Settings)
