"""Which connection uploads which packet in this process: a kit that comes back over a new connection does
not wait for the old one, whose path may be dead without a word (a NAT box forgot it).

Only a shortcut: what keeps writers apart is the generation in the database, across processes and machines.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

from server.fleet.uploads import OutOfStep, Standing

PIECE = 65_536  # written at once on a good link
LONGEST_HELD_S = 0.1  # and on a bad one what came in so long: little is lost when it breaks
SILENCE_S = 20.0  # a body that stands still so long is of a connection that is dead
FAREWELL_S = 1.0
_READ = 4_096


class Into(Protocol):
    def write(self, offset: int, data: bytes) -> Standing: ...


class Berths:
    """May be used from any thread. A `socket` is the TLS socket of gunicorn's, or None in a test."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._moored: dict[str, tuple[object, int]] = {}  # packet -> the connection that began it last
        self._landing: dict[str, tuple[object, threading.Event]] = {}  # packet -> who writes just now

    def clear(self, packet_id: str, newcomer: object) -> None:
        """End another connection's write of this packet, and wait until what it had is on the disk."""
        with self._lock:
            there = self._landing.get(packet_id)
        if there is None or there[0] is newcomer:
            return
        if isinstance(there[0], socket.socket):
            with contextlib.suppress(OSError):
                # Below TLS on purpose: SSLSocket.shutdown pulls its state from under the other thread.
                socket.socket.shutdown(there[0], socket.SHUT_RDWR)
        there[1].wait(FAREWELL_S)

    def moor(self, packet_id: str, connection: object, generation: int) -> None:
        """This connection began the packet last."""
        with self._lock:
            self._moored[packet_id] = connection, generation

    def begun(self, packet_id: str, connection: object) -> int:
        """The generation that this very connection was given. OutOfStep when it was given none, or is
        outdone."""
        with self._lock:
            there = self._moored.get(packet_id)
        if there is None or there[0] is not connection:
            raise OutOfStep("generation", 0, 0)
        return there[1]

    def land(self, packet_id: str, environ: Mapping[str, Any], offset: int, into: Into) -> Standing | None:
        """Write the body of a PATCH as it comes in; where the upload stands, or None when the body broke off.

        OutOfStep and Refused as of `uploads.write`."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        connection = environ.get("gunicorn.socket")
        done = threading.Event()
        with self._lock:
            self._landing[packet_id] = connection, done
        try:
            if isinstance(connection, socket.socket):
                connection.settimeout(SILENCE_S)
            return _land(environ["wsgi.input"], length, offset, into)
        finally:
            done.set()
            with self._lock:
                if self._landing.get(packet_id) == (connection, done):
                    del self._landing[packet_id]

    def leave(self, packet_id: str) -> None:
        """The packet is complete: forget who brought it."""
        with self._lock:
            self._moored.pop(packet_id, None)


def _land(body: Any, length: int, offset: int, into: Into) -> Standing | None:
    standing: Standing | None = None
    left, held, since = length, bytearray(), time.monotonic()
    whole = True
    while left and whole:
        piece = _read(body, min(left, _READ))
        left -= len(piece)
        held += piece
        whole = bool(piece)
        due = len(held) >= PIECE or time.monotonic() - since > LONGEST_HELD_S
        if held and (due or not left or not whole):
            standing = into.write(offset, bytes(held))
            offset += len(held)
            held.clear()
            since = time.monotonic()
    return standing if not left else None


def _read(body: Any, most: int) -> bytes:
    """What came; empty when the connection broke."""
    try:
        return bytes(body.read(most))
    except OSError:
        return b""
