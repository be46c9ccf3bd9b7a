"""A Topaz SigLite behind the signature port: strokes, the end of a signature, and a pad that is pulled out.

The pad streams whenever a pen is near it. The line is open only while a signature is asked for, so nothing
that is written on the pad at another time ever reaches the kit.
"""

import threading
import time
from collections.abc import Callable

import msgspec

from device.drivers.link import Line, SerialLink
from device.drivers.signpad.gathering import Area, Gathering, Least, is_signature
from device.drivers.signpad.topaz.frames import BOTTOM, LEFT, RIGHT, TOP, Decoder
from device.errors import Code, KitError, Remedy
from device.ports import Capture, Condition, SignatureInk

MODEL = "Topaz SigLite 1x5"
UNITS_PER_MM = 410 / 25.4
AREA = Area(LEFT, TOP, RIGHT, BOTTOM)
LEAST = Least(length=15 * UNITS_PER_MM, extent=6 * UNITS_PER_MM)  # 15 mm of ink, 6 mm wide or high

LOOK_S = (
    0.05  # how often done and cancel are looked for, and how long a pen is silent before it counts as lifted
)
SHOW_S = 0.05  # at most twenty pictures a second for the screen


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    port: str
    pause_s: float = 3.0  # a signature is done when the pen has rested so long

    def __post_init__(self) -> None:
        if not 0.5 <= self.pause_s <= 30:
            raise ValueError("pause_s: 0.5 to 30 seconds")


class TopazPad:
    """SignaturePad on one serial port: 19200 bit/s, 8 data bits, odd parity, 1 stop bit."""

    def __init__(self, settings: Settings) -> None:
        self.line = Line(settings.port, 19200, parity="O")
        self._pause_s = settings.pause_s
        self._one = threading.Lock()
        self._closed = False
        self._open = False

    def condition(self) -> Condition:
        """The pad answers no questions: all that can be known is that its port is there."""
        if self._open or (self.line.present() and not self._closed):
            return Condition("ok", MODEL)
        return Condition("missing", MODEL, detail="port not there")

    def capture(
        self, capture: Capture, ink: Callable[[SignatureInk], None], done: threading.Event
    ) -> SignatureInk:
        """Progress codes: sign (nothing yet), signing, sign-done (resting after a signature).

        KitError empty-signature (done or deadline without one), cancelled, peripheral-absent,
        peripheral-gone, peripheral-busy.
        """
        if self._closed:
            raise KitError(Code.PERIPHERAL_ABSENT, Remedy.WORKSHOP, "signature pad is closed")
        if not self._one.acquire(blocking=False):
            raise KitError(Code.PERIPHERAL_BUSY, Remedy.RETRY, "signature pad: capture runs already")
        try:
            with SerialLink.open(self.line) as link:
                self._open = True
                return self._gather(link, capture, ink, done)
        finally:
            self._open = False
            self._one.release()

    def close(self) -> None:
        self._closed = True

    def _gather(
        self,
        link: SerialLink,
        capture: Capture,
        show: Callable[[SignatureInk], None],
        done: threading.Event,
    ) -> SignatureInk:
        decoder, gathering = Decoder(), Gathering(AREA, MODEL)
        began = time.monotonic()
        touched, shown, fresh = began, 0.0, False
        capture.progress(0.0, "sign")
        while True:
            data = link.read(LOOK_S)
            now = time.monotonic()
            if not data:
                gathering.lift()
            for pen in decoder.feed(data):
                if gathering.add(pen.x, pen.y, pen.down):
                    touched, fresh = now, True
            if fresh and now - shown >= SHOW_S:
                shown, fresh = now, False
                show(gathering.ink())
                capture.progress(min(1.0, (now - began) / capture.deadline_s), "signing")
            if capture.cancel.is_set():
                raise KitError(Code.CANCELLED, Remedy.RETRY, "while signing")
            rested = not gathering.down and now - touched >= self._pause_s
            if not (done.is_set() or rested or now - began >= capture.deadline_s):
                continue
            so_far = gathering.ink()
            if is_signature(so_far, LEAST):
                show(so_far)
                capture.progress(1.0, "sign-done")
                return so_far
            if done.is_set() or now - began >= capture.deadline_s:
                raise KitError(Code.EMPTY_SIGNATURE, Remedy.RETRY, "less ink than a signature")


def open_driver(settings: Settings) -> TopazPad:
    return TopazPad(settings)
