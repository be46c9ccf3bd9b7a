"""A Suprema SFM module behind the fingerprint port: patience, retries, cancelling and health.

The module is set to grey images and to our time-out at every capture, in its working memory only: after a
power cut or a swap it would be back at its default, binary images. The line is open only while something is
asked.
"""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from device.drivers.fingerprint import judge
from device.drivers.fingerprint.sfm.frames import Image, Parameter
from device.drivers.fingerprint.sfm.talk import Talk
from device.drivers.link import Line, SerialLink
from device.errors import Code, KitError, Remedy
from device.ports import Capture, Condition, FingerImage

# SFM6020-OP and SFM Slim. The SFM6050 has 508 and would need a driver name of its own.
PPI = 500

HEALTH_S = 5.0  # a capture waits so long for a question about health to end

SENSORS = {0x33: "optical (OP)", 0x34: "capacitive (TC)", 0x38: "optical (OC)", 0x39: "optical (OL)"}

Baud = Literal[9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    port: str
    baud: Baud = 115200


class SfmScanner:
    """FingerprintScanner on one serial port. One capture at a time; any thread may ask `condition`."""

    def __init__(self, settings: Settings) -> None:
        self._line = Line(settings.port, settings.baud)
        self._one = threading.Lock()
        self._unsettled = True  # an earlier process may have left the module in the middle of an answer
        self._closed = False
        self._capturing = False
        self._condition = Condition("missing", detail="not asked yet")

    def condition(self) -> Condition:
        """Asks the module for its type, serial number and firmware; during a capture what was known before
        it.
        """
        if not self._one.acquire(blocking=False):
            return self._condition
        try:
            self._condition = self._ask_condition()
        finally:
            self._one.release()
        return self._condition

    def capture(self, capture: Capture) -> FingerImage:
        """Wait for a finger and read it. Progress codes: place-finger, reading-finger, judging-finger.

        KitError no-finger (deadline passed), cancelled, peripheral-absent, peripheral-gone, peripheral-busy,
        peripheral-refused (module cannot do it), peripheral-protocol (damaged however often read), timed-out
        (module silent), finger-poor (fake finger detected).
        """
        if self._capturing or not self._one.acquire(timeout=HEALTH_S):
            raise KitError(Code.PERIPHERAL_BUSY, Remedy.RETRY, "fingerprint reader: capture runs already")
        self._capturing = True
        try:
            image = self._read(capture)
        finally:
            self._capturing = False
            self._one.release()
        capture.progress(0.97, "judging-finger")
        judgement = judge.judge(image.pixels, image.width, image.height, PPI)
        return FingerImage(
            image.pixels,
            image.width,
            image.height,
            PPI,
            judgement.measures,
            judgement.hints,
            device=self._condition.model or "Suprema SFM",
        )

    def close(self) -> None:
        self._closed = True

    def _read(self, capture: Capture) -> Image:
        deadline = time.monotonic() + capture.deadline_s
        with self._talking() as talk:
            if not self._condition.model:
                self._condition = _identify(talk)
            seconds = min(20, max(1, math.ceil(capture.deadline_s)))
            talk.use_grey(seconds)
            return talk.scan(capture, deadline, seconds)

    def _ask_condition(self) -> Condition:
        if not self._line.present():
            return Condition("missing", detail="port not there")
        try:
            with self._talking() as talk:
                return _identify(talk)
        except KitError as error:
            state: Literal["degraded", "missing"] = (
                "degraded" if error.code is Code.PERIPHERAL_BUSY else "missing"
            )
            return Condition(state, detail=f"{error.code}: {error.detail}")

    @contextmanager
    def _talking(self) -> Iterator[Talk]:
        if self._closed:
            raise KitError(Code.PERIPHERAL_ABSENT, Remedy.WORKSHOP, "fingerprint reader is closed")
        with SerialLink.open(self._line) as link:
            if self._unsettled:
                link.drain()
            self._unsettled = True
            yield Talk(link)
            self._unsettled = False  # only an operation that ended as it should leaves a quiet line behind


def _identify(talk: Talk) -> Condition:
    sensor = talk.parameter(Parameter.SENSOR_TYPE)
    serial = talk.parameter(Parameter.SERIAL_NUMBER)
    firmware = talk.parameter(Parameter.FIRMWARE).to_bytes(4, "little")
    text = "".join(chr(b) for b in firmware if 0x20 < b < 0x7F)
    return Condition("ok", f"Suprema SFM {SENSORS.get(sensor, f'type {sensor:02x}')}", str(serial), text)


def open_driver(settings: Settings) -> SfmScanner:
    return SfmScanner(settings)
