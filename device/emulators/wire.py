"""A serial line as a pseudo-terminal: true bytes at true speed, a plug that can be pulled, and faults by
script.
"""

import os
import pty
import select
import termios
import time
import tty
from contextlib import suppress
from pathlib import Path

from device.emulators.control import Control
from device.emulators.faults import Faults, Hangup, Pause, Silence

SLICE = 64  # bytes written at once; small enough that pacing is smooth and a plug can be pulled mid-image
UNTHROTTLED = 2048  # the same where speed does not matter
LISTEN_S = 0.01  # how soon an idle line sees that somebody opened it


class Unplugged(Exception):
    """The plug was pulled, or whoever listened has closed the line, in the middle of a message."""


class Wire:
    """The device's end of the line. `link` is a symlink to the present pseudo-terminal, there while plugged
    in.

    `baud` 0 means unthrottled; `bits` is bits a byte on the line (10 for 8N1, 11 for 8O1).
    """

    def __init__(self, link: Path, *, baud: int, bits: int, faults: Faults, control: Control) -> None:
        self._link = link
        self._byte_s = bits / baud if baud else 0.0
        self._faults = faults
        self._control = control
        self._master: int | None = None
        self._replug_at = float("inf")
        self._silent_until = 0.0

    def plug(self) -> None:
        """Make the pseudo-terminal and let `link` point at it, in one step."""
        if self._master is not None:
            return
        master, slave = pty.openpty()
        tty.setraw(slave)
        name = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(master, False)
        self._master = master
        self._replug_at = float("inf")
        fresh = self._link.with_name(f".{self._link.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(name)
        fresh.replace(self._link)

    def unplug(self, for_s: float = 0.0) -> None:
        """Hang up; back after `for_s` seconds (0: until `plug`)."""
        self._link.unlink(missing_ok=True)
        if self._master is not None:
            os.close(self._master)
            self._master = None
        self._replug_at = time.monotonic() + for_s if for_s else float("inf")

    @property
    def plugged(self) -> bool:
        return self._master is not None

    @property
    def open(self) -> bool:
        """Somebody has the line open."""
        if self._master is None:
            return False
        _stay_changeable(self._master)
        poller = select.poll()
        poller.register(self._master, select.POLLIN)
        return not any(event & select.POLLHUP for _, event in poller.poll(0))

    def receive(self, seconds: float) -> bytes:
        """What arrives within `seconds`, b"" when nothing does. Control requests are served meanwhile."""
        until = time.monotonic() + seconds
        while True:
            if time.monotonic() >= self._replug_at:
                self.plug()
            if self._master is not None and self.open:
                data = self._read()
                if data:
                    return data
            left = until - time.monotonic()
            if left <= 0:
                return b""
            # An idle line with nobody on it is "ready" (hung up) all the time, so it is not watched but
            # looked at.
            if self._master is not None and self.open:
                self._control.serve(min(left, self._replug_at - time.monotonic()), also=self._master)
            else:
                self._control.serve(min(left, LISTEN_S))

    def send(self, message: bytes) -> None:
        """Put one message on the line at the line's speed. Unplugged when it could not be finished."""
        for piece in self._faults.spoil(message):
            if isinstance(piece, Pause):
                self._sleep(piece.seconds)
            elif isinstance(piece, Silence):
                self._silent_until = time.monotonic() + piece.seconds if piece.seconds else float("inf")
            elif isinstance(piece, Hangup):
                self.unplug(piece.seconds)
                raise Unplugged
            else:
                self._write(piece)

    def speak(self) -> None:
        """End a silence."""
        self._silent_until = 0.0

    def close(self) -> None:
        self.unplug()

    def _read(self) -> bytes:
        assert self._master is not None
        with suppress(BlockingIOError):
            try:
                return os.read(self._master, 4096)
            except OSError:  # EIO: closed between the look and the read
                return b""
        return b""

    def _write(self, data: bytes) -> None:
        due = time.monotonic()
        size = SLICE if self._byte_s else UNTHROTTLED
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            due += len(piece) * self._byte_s
            if time.monotonic() >= self._silent_until:
                self._push(piece)
            self._sleep(due - time.monotonic())

    def _push(self, piece: bytes) -> None:
        """All of `piece` into the terminal, waiting for a slow reader as a line with flow control would."""
        while piece:
            if self._master is None or not self.open:
                raise Unplugged
            try:
                piece = piece[os.write(self._master, piece) :]
            except BlockingIOError:
                self._control.serve(0.005)

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            # Always one look at the control socket, so that an unthrottled line can be unplugged too.
            self._control.serve(min(max(0.0, until - time.monotonic()), 0.05))
            if self._master is None:
                raise Unplugged
            if time.monotonic() >= until:
                return


def _stay_changeable(master: int) -> None:
    """Let the next client set parity without an error.

    A pseudo-terminal has no parity and drops the flag; glibc calls a request of which nothing at all took
    effect an error, and that is what the second client to ask for the same settings would get. So one flag
    that means nothing without output processing (ONLCR) is kept different from what any serial client sets.
    """
    settings = termios.tcgetattr(master)
    if not settings[1] & termios.ONLCR:
        settings[1] |= termios.ONLCR
        termios.tcsetattr(master, termios.TCSANOW, settings)
