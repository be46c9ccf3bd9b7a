"""A serial line: opened for us alone, read with deadlines, and every failure of it a KitError.

The one file that imports pyserial. A driver opens a link for one operation and closes it after: an unplugged
device then needs no special treatment, the next operation simply finds it again (decision 0030).
"""

import errno
import select
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import serial

from device.errors import Code, KitError, Remedy

Parity = Literal["N", "O", "E"]

WRITE_S = 2.0  # requests are a dozen bytes: a line that cannot take them in two seconds is stuck
CHUNK = 65536


@dataclass(frozen=True)
class Line:
    """How a device is wired: the port's path, speed in bits/s, and the shape of a byte."""

    port: str
    baud: int
    parity: Parity = "N"
    data_bits: Literal[7, 8] = 8
    stop_bits: Literal[1, 2] = 1

    def present(self) -> bool:
        """The device file is there. It says nothing about who answers behind it."""
        return Path(self.port).exists()


class SerialLink:
    """An open line. Use as a context manager. KitError peripheral-gone when it breaks while open."""

    def __init__(self, port: serial.Serial) -> None:
        self._port = port

    @classmethod
    def open(cls, line: Line) -> Self:
        """KitError peripheral-absent (no such port), peripheral-busy (another program has it)."""
        try:
            port = serial.Serial(
                line.port,
                line.baud,
                bytesize=line.data_bits,
                parity=line.parity,
                stopbits=line.stop_bits,
                timeout=0,
                write_timeout=WRITE_S,
                exclusive=True,
            )
        except (serial.SerialException, OSError, termios.error) as error:
            raise _not_opened(line, error) from error
        return cls(port)

    @property
    def port(self) -> serial.Serial:
        """The pyserial object, for its settings."""
        return self._port

    def read(self, seconds: float) -> bytes:
        """Whatever arrives first within `seconds`; b"" when nothing does."""
        # Not pyserial's own time-out: setting that rewrites the terminal's settings at every read.
        with _broken():
            if not select.select([self._port.fileno()], [], [], max(0.0, seconds))[0]:
                return b""
            data: bytes = self._port.read(min(CHUNK, max(1, self._port.in_waiting)))
            return data

    def write(self, data: bytes) -> None:
        """All of `data`. KitError timed-out when the line takes no more."""
        with _broken():
            self._port.write(data)

    def drain(self, silence_s: float = 0.1, limit_s: float = 10.0) -> int:
        """Throw away what still comes in until the line has been silent; the bytes thrown away.

        A device cut off in mid-answer goes on sending: asking again before it is silent mixes two answers.
        KitError peripheral-protocol when it is still talking after `limit_s`.
        """
        until = time.monotonic() + limit_s
        thrown = 0
        while data := self.read(silence_s):
            thrown += len(data)
            if time.monotonic() > until:
                raise KitError(Code.PERIPHERAL_PROTOCOL, Remedy.OFFICER, "line never falls silent")
        return thrown

    def close(self) -> None:
        # A hung-up terminal may refuse even to be closed politely; the descriptor is gone all the same.
        with _broken_is_fine():
            self._port.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _not_opened(line: Line, error: BaseException) -> KitError:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EACCES, errno.EPERM):
        return KitError(Code.PERIPHERAL_ABSENT, Remedy.WORKSHOP, f"{line.port}: not allowed")
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in str(error):
        return KitError(Code.PERIPHERAL_BUSY, Remedy.RETRY, f"{line.port}: another program has it open")
    return KitError(Code.PERIPHERAL_ABSENT, Remedy.OFFICER, f"{line.port}: {type(error).__name__}")


@contextmanager
def _broken() -> Iterator[None]:
    # Three unrelated classes tell of the same pulled plug: SerialException on read (a kind of OSError),
    # OSError EIO from ioctl, termios.error from a flush.
    try:
        yield
    except serial.SerialTimeoutException as error:
        raise KitError(Code.TIMED_OUT, Remedy.OFFICER, "line takes no bytes") from error
    except (serial.SerialException, OSError, termios.error) as error:
        raise KitError(Code.PERIPHERAL_GONE, Remedy.OFFICER, "unplugged while in use") from error


@contextmanager
def _broken_is_fine() -> Iterator[None]:
    try:
        yield
    except (serial.SerialException, OSError, termios.error):
        return
