"""A camera that is a folder: something outside drops numbered JPEG frames there, the newest counts.

It can only ever be an example: every preview and still says so in the picture itself, and its health is
amber. Frames are `00000042.jpg`, put there by an atomic rename; older ones may vanish at any time.
"""

import hashlib
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from device.drivers.camera.frame import LARGEST_FILE, BadFrame, preview
from device.drivers.camera.photo import to_photo
from device.errors import Code, KitError, Remedy
from device.ports import Capture, Condition, Photo

MODEL = "example pictures"
NAME = re.compile(r"[0-9]{8}\.jpg")
LOOK_S = 0.03


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    frozen_after_s: float = 3.0  # the picture has stood still so long: something is wrong with the camera

    def __post_init__(self) -> None:
        if not 0.1 <= self.frozen_after_s <= 60:
            raise ValueError("frozen_after_s: 0.1 to 60 seconds")


class FolderCamera:
    """Camera on a folder of frames. `monotonic` is the clock by which a picture stands still."""

    def __init__(self, settings: Settings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._folder = Path(settings.path)
        self._frozen_after_s = settings.frozen_after_s
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._digest = b""
        self._since = 0.0
        self._closed = False

    def condition(self) -> Condition:
        try:
            self._newest()
        except KitError as error:
            return Condition("missing", MODEL, detail=str(error.code), example=True)
        return Condition("degraded", MODEL, detail="pictures from a folder, not from a camera", example=True)

    def preview(self) -> bytes:
        """KitError peripheral-gone (no folder), camera-frozen, peripheral-absent (no frame yet),
        peripheral-protocol (no JPEG)."""
        jpeg, _ = self._newest()
        try:
            return preview(jpeg, example=True)
        except BadFrame as error:
            raise _damaged(error) from error

    def capture(self, capture: Capture) -> Photo:
        """The next frame after the present one. Progress codes: taking-photo, judging-photo."""
        capture.progress(0.0, "taking-photo")
        _, before = self._newest()
        until = self._monotonic() + min(capture.deadline_s, self._frozen_after_s)
        while True:
            jpeg, digest = self._newest()
            if digest != before:
                break
            if capture.cancel.wait(LOOK_S):
                raise KitError(Code.CANCELLED, Remedy.RETRY, "while waiting for a frame")
            if self._monotonic() >= until:
                raise KitError(Code.CAMERA_FROZEN, Remedy.OFFICER, "no new frame")
        capture.progress(0.5, "judging-photo")
        try:
            photo = to_photo(jpeg, example=True)
        except BadFrame as error:
            raise _damaged(error) from error
        capture.progress(1.0, "judging-photo")
        return photo

    def close(self) -> None:
        self._closed = True

    def _newest(self) -> tuple[bytes, bytes]:
        """The newest frame and its digest. KitError camera-frozen when it stands still."""
        if self._closed:
            raise KitError(Code.PERIPHERAL_ABSENT, Remedy.WORKSHOP, "camera is closed")
        jpeg = self._read()
        digest = hashlib.sha256(jpeg).digest()
        now = self._monotonic()
        with self._guard:
            if digest != self._digest:
                self._digest, self._since = digest, now
            elif now - self._since >= self._frozen_after_s:
                raise KitError(Code.CAMERA_FROZEN, Remedy.OFFICER, "the picture stands still")
        return jpeg, digest

    def _read(self) -> bytes:
        for _ in range(5):  # the newest may be replaced between the look and the read
            try:
                names = [entry.name for entry in self._folder.iterdir() if NAME.fullmatch(entry.name)]
            except OSError as error:
                raise KitError(Code.PERIPHERAL_GONE, Remedy.OFFICER, "folder not there") from error
            if not names:
                raise KitError(Code.PERIPHERAL_ABSENT, Remedy.OFFICER, "no frame in the folder")
            newest = self._folder / max(names)
            try:
                with newest.open("rb") as file:
                    return file.read(LARGEST_FILE + 1)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise KitError(Code.PERIPHERAL_GONE, Remedy.OFFICER, "frame not readable") from error
        raise KitError(Code.PERIPHERAL_PROTOCOL, Remedy.RETRY, "frames vanish before they can be read")


def _damaged(error: BadFrame) -> KitError:
    return KitError(Code.PERIPHERAL_PROTOCOL, Remedy.RETRY, f"frame refused: {error}")


def open_driver(settings: Settings) -> FolderCamera:
    return FolderCamera(settings)
