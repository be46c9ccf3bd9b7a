"""A doorbell between two processes: a datagram socket. A lost ring is harmless, both also look."""

import os
import select
import socket
from contextlib import suppress
from pathlib import Path


class Bell:
    """One end's bell. Whoever waits owns the socket; anyone in the spool's group may ring."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._heard: socket.socket | None = None

    def ring(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ringer, _Short(self._path) as address:
            ringer.setblocking(False)
            # Nobody at home, or a bell that rings already: the other end looks by itself before long.
            with suppress(OSError):
                ringer.sendto(b"\0", address)

    def listen(self) -> None:
        """Take the bell over from a process that is gone."""
        self._path.unlink(missing_ok=True)
        heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        heard.setblocking(False)
        with _Short(self._path) as address:
            heard.bind(address)
        self._path.chmod(0o660)
        self._heard = heard

    def wait(self, seconds: float) -> bool:
        """True when it has rung since the last wait, or does so within `seconds`. Many rings count as one."""
        if self._heard is None:
            self.listen()
        assert self._heard is not None
        waiter = select.poll()
        waiter.register(self._heard, select.POLLIN)
        if not waiter.poll(max(0.0, seconds) * 1000):
            return False
        with suppress(BlockingIOError):
            while True:
                self._heard.recv(16)
        return True

    def close(self) -> None:
        if self._heard is not None:
            self._heard.close()
            self._heard = None
            self._path.unlink(missing_ok=True)


class _Short:
    """An address for a socket whose path may be longer than the 107 bytes that sockaddr_un has room for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = -1

    def __enter__(self) -> str:
        self._folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._folder}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._folder)
