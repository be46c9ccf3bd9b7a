"""The device key of a Raspberry Pi as key source, through `/dev/vcio`.

Whoever may open that device may read the key, and whoever has the board can start a system of their own on
it. So it keeps a copied disk shut, not a stolen kit: the protection is reduced, and Argon2id slows guesses.
"""

import fcntl
import hashlib
import hmac
import os
import socket
import stat
import struct
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from device.drivers.keys.otp import mailbox
from device.drivers.keys.otp.mailbox import BadMessage
from device.errors import Code, KitError, Remedy
from device.ports import Enclosed

PATIENCE_S = 5.0
_POINTER = struct.calcsize("P")
_PROPERTY = 3 << 30 | _POINTER << 16 | 100 << 8  # _IOWR(100, 0, char *), linux/drivers/char/broadcom/vcio.c


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    device: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] = "/dev/vcio"
    handed: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    """Where `keys lay-out` puts what it asked of the firmware, in memory: who finds it there asks no more."""


class OtpKeySource:
    """Behind `ports.KeySource`. It cannot count PINs: what it gives does not depend on the proof."""

    protection: Literal["hardware", "reduced"] = "reduced"

    def __init__(self, device: Path) -> None:
        self._device = device

    def device_secret(self) -> bytes:
        """Derived, so that the key itself is in no use of ours. KitError key-source-gone, bad-config."""
        try:
            key = mailbox.private_key(self._exchange(mailbox.ask_private_key()))
        except BadMessage as problem:
            raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"{self._device}: {problem}") from problem
        except OSError as problem:
            detail = f"{self._device}: {problem.strerror or problem}"
            raise KitError(Code.KEY_SOURCE_GONE, Remedy.WORKSHOP, detail) from problem
        return hmac.digest(key, b"thuisloket/device-secret", hashlib.sha256)

    def enclose(self, proof: bytes) -> Enclosed:
        return Enclosed(self.device_secret(), b"")

    def release(self, ticket: bytes, proof: bytes) -> bytes:
        return self.device_secret()

    def forget(self, ticket: bytes) -> None:
        """Nothing was kept for one officer alone."""

    def keep_only(self, tickets: Collection[bytes]) -> None:
        """As `forget`."""

    def _exchange(self, message: bytes) -> bytes:
        mode = self._device.stat().st_mode
        if stat.S_ISSOCK(mode):
            return self._ask_socket(message)
        if not stat.S_ISCHR(mode):
            raise BadMessage("not the firmware's mailbox")
        handle = os.open(self._device, os.O_RDWR | os.O_CLOEXEC)
        try:
            buffer = bytearray(message)
            fcntl.ioctl(handle, _PROPERTY, buffer, True)
            return bytes(buffer)
        finally:
            os.close(handle)

    def _ask_socket(self, message: bytes) -> bytes:
        """The same message over a socket, for a board whose firmware is another program's affair."""
        with socket.socket(socket.AF_UNIX) as end:
            end.settimeout(PATIENCE_S)
            end.connect(str(self._device))
            end.sendall(message)
            answer = b""
            while len(answer) < len(message) and (more := end.recv(len(message) - len(answer))):
                answer += more
            return answer
