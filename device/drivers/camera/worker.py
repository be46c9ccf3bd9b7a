"""The real camera: picamera2 in a worker program of the system's Python, started, spoken to and restarted
here.

A worker that does not answer in time, says something that is not the protocol, or ends, is killed; the next
call starts another. So a camera that hangs costs one failed picture, never the agent.
"""

import hashlib
import os
import select
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Literal

import msgspec

from device.drivers.camera.frame import BadFrame, preview
from device.drivers.camera.photo import to_photo
from device.drivers.camera.stdio import HELLO, BadMessage, Decoder, Message, encode
from device.errors import Code, KitError, Remedy
from device.ports import Capture, Condition, Photo

PROGRAM = Path(__file__).with_name("picamera.py")
CHUNK = 1 << 18
STILL_S = 8.0
SETTLE_S = 0.2  # between two looks at whether the picture moves


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    python: str = "/usr/bin/python3"
    program: str = str(PROGRAM)
    turn: Literal[0, 90, 180, 270] = 90  # the sensor lies on its side in the kit's stand
    start_s: float = 15.0  # loading libcamera and finding the sensor
    answer_s: float = 5.0

    def __post_init__(self) -> None:
        if not (0.1 <= self.start_s <= 120 and 0.1 <= self.answer_s <= 60):
            raise ValueError("start_s: 0.1 to 120, answer_s: 0.1 to 60 seconds")


class WorkerCamera:
    """Camera behind a worker. One call at a time; others wait for it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._one = threading.Lock()
        self._worker: subprocess.Popen[bytes] | None = None
        self._decoder = Decoder()
        self._model = ""
        self._digest = b""
        self._closed = False

    def condition(self) -> Condition:
        if not self._one.acquire(timeout=0.2):
            return Condition("ok", self._model)  # it is taking a picture
        try:
            self._running()
        except KitError as error:
            return Condition("missing", self._model, detail=f"{error.code}: {error.detail}")
        finally:
            self._one.release()
        return Condition("ok", self._model)

    def preview(self) -> bytes:
        """KitError peripheral-absent (no worker or no camera), timed-out, peripheral-gone (worker ended),
        peripheral-protocol, camera-frozen (not one pixel changed since the last picture).
        """
        try:
            return preview(self._moving(self._settings.answer_s), example=False, turn=self._settings.turn)
        except BadFrame as error:
            raise self._spoilt(error) from error

    def capture(self, capture: Capture) -> Photo:
        """Progress codes: taking-photo, judging-photo."""
        capture.progress(0.0, "taking-photo")
        if capture.cancel.is_set():
            raise KitError(Code.CANCELLED, Remedy.RETRY, "before the picture")
        jpeg = self._moving(min(capture.deadline_s, STILL_S))
        if capture.cancel.is_set():
            raise KitError(Code.CANCELLED, Remedy.RETRY, "after the picture")
        capture.progress(0.6, "judging-photo")
        try:
            photo = to_photo(jpeg, example=False, turn=self._settings.turn)
        except BadFrame as error:
            raise self._spoilt(error) from error
        capture.progress(1.0, "judging-photo")
        return photo

    def close(self) -> None:
        with self._one:
            self._closed = True
            self._stop()

    def _moving(self, seconds: float) -> bytes:
        """A picture that is not the one before: a live sensor is never twice the same, to the last bit."""
        with self._one:
            for _ in range(3):
                jpeg = self._ask(seconds)
                digest = hashlib.sha256(jpeg).digest()
                if digest != self._digest:
                    self._digest = digest
                    return jpeg
                time.sleep(SETTLE_S)
            self._stop()
            raise KitError(Code.CAMERA_FROZEN, Remedy.OFFICER, "the picture stands still")

    def _ask(self, seconds: float) -> bytes:
        worker = self._running()
        assert worker.stdin is not None
        try:
            worker.stdin.write(encode(Message({"do": "picture"})))
            worker.stdin.flush()
        except OSError as error:
            self._stop()
            raise KitError(Code.PERIPHERAL_GONE, Remedy.RETRY, "camera worker ended") from error
        answer = self._receive(worker, seconds)
        if answer.header.get("ok") is not True:
            self._stop()
            detail = f"{answer.header.get('code')}: {answer.header.get('detail', '')}"
            raise KitError(Code.PERIPHERAL_GONE, Remedy.OFFICER, detail[:300])
        return answer.body

    def _running(self) -> subprocess.Popen[bytes]:
        """The worker, started if need be, after its hello."""
        if self._closed:
            raise KitError(Code.PERIPHERAL_ABSENT, Remedy.WORKSHOP, "camera is closed")
        if self._worker is not None and self._worker.poll() is None:
            return self._worker
        self._stop()
        try:
            # Unbuffered towards us: what is ready is read from the descriptor, with a deadline.
            worker = subprocess.Popen(
                [self._settings.python, self._settings.program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_plain_environment(),
            )
        except OSError as error:
            raise KitError(Code.PERIPHERAL_ABSENT, Remedy.WORKSHOP, "no system Python for it") from error
        self._worker, self._decoder = worker, Decoder()
        hello = self._receive(worker, self._settings.start_s).header
        if hello.get("hello") != HELLO:
            self._stop()
            raise KitError(Code.PERIPHERAL_PROTOCOL, Remedy.WORKSHOP, "camera worker of another kind")
        if "error" in hello:
            self._stop()
            raise KitError(Code.PERIPHERAL_ABSENT, Remedy.OFFICER, str(hello.get("detail", ""))[:300])
        self._model = str(hello.get("model", ""))[:60]
        return worker

    def _receive(self, worker: subprocess.Popen[bytes], seconds: float) -> Message:
        """The next message. KitError after which the worker is gone."""
        assert worker.stdout is not None
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if not select.select([worker.stdout], [], [], left)[0]:
                break
            data = os.read(worker.stdout.fileno(), CHUNK)
            if not data:
                self._stop()
                raise KitError(Code.PERIPHERAL_GONE, Remedy.RETRY, "camera worker ended")
            try:
                messages = self._decoder.feed(data)
            except BadMessage as error:
                self._stop()
                raise KitError(Code.PERIPHERAL_PROTOCOL, Remedy.RETRY, str(error)) from error
            if messages:
                return messages[0]  # it answers one request at a time
        self._stop()
        raise KitError(Code.TIMED_OUT, Remedy.RETRY, "camera worker does not answer")

    def _spoilt(self, error: BadFrame) -> KitError:
        with self._one:
            self._stop()
        return KitError(Code.PERIPHERAL_PROTOCOL, Remedy.RETRY, f"picture refused: {error}")

    def _stop(self) -> None:
        worker, self._worker = self._worker, None
        if worker is None:
            return
        worker.kill()  # it holds nothing that needs an orderly end, and may be stuck in the driver
        worker.wait()
        for pipe in (worker.stdin, worker.stdout):
            if pipe is not None:
                _close(pipe)


def _close(pipe: Any) -> None:
    try:
        pipe.close()
    except OSError:  # bytes for a worker that is gone
        return


def _plain_environment() -> dict[str, str]:
    """Our own Python's settings mean nothing, or harm, in the system's Python."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }


def open_driver(settings: Settings) -> WorkerCamera:
    return WorkerCamera(settings)
