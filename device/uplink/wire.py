"""One TLS connection that is written and read at once, by one thread, and notices when its path is dead."""

import io
import select
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from device.uplink import gauge
from device.uplink.pace import Pace
from device.uplink.path import TICK_S, Pulse, begin_anew, keep_alive
from device.uplink.tail import Tail

T = TypeVar("T")
_TAIL_TICK_S = 0.02
_BUSY_TICK_S = 0.025  # while there is something to send: two packets at 1 Mbit/s
_RECORD = 8_192  # of TLS, whose other end has all of one or nothing when the connection breaks


class Wire(io.RawIOBase):
    """`put` queues bytes; they go out while somebody reads. Every failure is an OSError."""

    def __init__(
        self,
        tls: ssl.SSLSocket,
        silence_s: float,
        dead_s: float,
        is_over: Callable[[], bool],
    ) -> None:
        super().__init__()
        self.tls = tls
        self._silence_s, self._is_over = silence_s, is_over
        self._pulse, self._pace = Pulse(dead_s), Pace(tls)
        self._out: deque[memoryview] = deque()
        self._is_resting = False
        self.tail: Tail | None = None  # what follows the last bytes while somebody reads

    @classmethod
    def open(
        cls,
        tcp: socket.socket,
        context: ssl.SSLContext,
        host: str,
        session: ssl.SSLSession | None,
        connect_s: float,
        read_s: float,
        dead_s: float,
        is_over: Callable[[], bool],
    ) -> "Wire":
        """Shake hands on a connected, non-blocking socket; it is closed when that fails."""
        try:
            tls = context.wrap_socket(
                tcp, server_hostname=host, do_handshake_on_connect=False, session=session
            )
        except OSError:
            tcp.close()
            raise
        wire = cls(tls, connect_s, dead_s, is_over)
        try:
            wire._wait(tls.do_handshake)
        except OSError:
            tls.close()
            raise
        wire._silence_s = read_s
        return wire

    def put(self, *pieces: bytes) -> None:
        """Queue; what fits into the kernel goes at once."""
        for piece in pieces:
            view = memoryview(piece)
            self._out.extend(view[at : at + _RECORD] for at in range(0, len(view), _RECORD))
        self._push()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """At least one byte, or 0 at the end. TimeoutError after silence, or when the path is dead."""
        return self._wait(lambda: self.tls.recv_into(buffer))

    def rest(self, is_resting: bool) -> None:
        """Nobody reads for a while: no probes meanwhile. Until somebody writes again."""
        if is_resting == self._is_resting:
            return
        self._is_resting = is_resting
        keep_alive(self.tls, not is_resting)
        if not is_resting:
            begin_anew(self.tls)
            self._pace = Pace(self.tls)

    def close(self) -> None:
        super().close()
        self.tls.close()

    def drop(self) -> None:
        """Close, and let the kernel forget what is under way: it would send it again and again."""
        with suppress(OSError):
            self.tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def _wait(self, attempt: Callable[[], T]) -> T:
        """What `attempt` gives once TLS has what it needs; meanwhile what is queued goes out."""
        quiet = time.monotonic()
        while True:
            waiting = self._push()
            try:
                return attempt()
            except ssl.SSLWantReadError:
                reading, writing = [self.tls], [self.tls] if waiting else []
            except ssl.SSLWantWriteError:
                reading, writing = [], [self.tls]
            tick_s = _TAIL_TICK_S if self.tail is not None else _BUSY_TICK_S if waiting else TICK_S
            readable, writable, _ = select.select(reading, writing, [], tick_s)
            if readable or writable:
                quiet = time.monotonic()
            if self._is_over():
                raise ConnectionAbortedError
            if time.monotonic() - quiet > self._silence_s or self._is_dead():
                raise TimeoutError

    def _is_dead(self) -> bool:
        """Ask the kernel how it goes: the pace of the start and the tail of the end follow its word too."""
        told, now = gauge.read(self.tls), time.monotonic()
        if told is None:
            return False  # not a kernel we know: TCP_USER_TIMEOUT remains
        self._pace.look(told, now, self._pulse.quiet_s(told, now))
        more = self.tail.next(not self._out and not told.not_sent, now) if self.tail is not None else None
        if more is not None:
            self.put(more)
        return self._pulse.is_dead(told, now)

    def _push(self) -> bool:
        """Write what goes; True while there is more."""
        while self._out:
            try:
                written = self.tls.send(self._out[0])
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return True
            if written == len(self._out[0]):
                self._out.popleft()
            else:
                self._out[0] = self._out[0][written:]
        return False
