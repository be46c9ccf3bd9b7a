"""The TCP under TLS, set up for a bad mobile link; what the kernel knows of it, we ask the kernel.

Three things made the difference when measured (1 Mbit/s, 200 ms, 5 % loss, gaps with NAT rebinding): BBR per
socket, so that loss is not taken for congestion; connect attempts that overlap, so that a SYN lost in a gap
does not cost the kernel's 1, 3, 7 seconds; and a path that is dead for the kernel is dead for us within a
second or two.
"""

import errno
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from device.uplink.gauge import Gauge

ATTEMPT_S = 0.35  # a new connect attempt this long after the last one
ATTEMPTS = 6  # at most under way at once; the first stays, for links slower than all that
TICK_S = 0.1
_UNWATCHED_S = 1.0
FEW = 8  # packets without an acknowledgement: their silence says little
_NOT_SENT_BYTES = 131_072  # what waits in the kernel beyond what is on its way
_USER_TIMEOUT_MS = 30_000
_BBR = b"bbr"


def dial(host: str, port: int, seconds: float, is_over: Callable[[], bool]) -> socket.socket:
    """A connected, non-blocking socket. OSError when no attempt succeeds within `seconds`, or `is_over`."""
    places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    until, started, attempts = time.monotonic() + seconds, 0, []
    again, problem = 0.0, OSError(errno.ETIMEDOUT, "no attempt")
    try:
        while time.monotonic() < until:
            if is_over():
                raise ConnectionAbortedError
            if time.monotonic() >= again:
                again = time.monotonic() + ATTEMPT_S
                attempts.append(_begin(places[started % len(places)]))
                started += 1
                if len(attempts) > ATTEMPTS:
                    attempts.pop(1).close()
            _, ready, _ = select.select([], attempts, [], TICK_S)
            for attempt in ready:
                code = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                attempts.remove(attempt)
                if code == 0:
                    _prefer_bbr(attempt)
                    return attempt
                attempt.close()
                problem = OSError(code, "connect")
            if ready and not attempts:
                if started >= len(places):
                    raise problem
                again = 0.0
        raise TimeoutError
    finally:
        for attempt in attempts:
            attempt.close()


def _begin(place: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
    """A connect under way. OSError when there is no network at all."""
    family, kind, protocol, _, address = place
    made = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
    for option, value in (
        (socket.TCP_NODELAY, 1),
        (socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS),
        (socket.TCP_NOTSENT_LOWAT, _NOT_SENT_BYTES),
        (socket.TCP_KEEPIDLE, 1),
        (socket.TCP_KEEPINTVL, 1),
    ):
        made.setsockopt(socket.IPPROTO_TCP, option, value)
    keep_alive(made, True)
    code = made.connect_ex(address)
    if code not in (0, errno.EINPROGRESS):
        made.close()
        raise OSError(code, "connect")
    return made


def keep_alive(connection: socket.socket, is_wanted: bool) -> None:
    """A probe each second: also what is idle is heard of."""
    with suppress(OSError):  # a connection that is no more says so where it is read
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(is_wanted))


def _prefer_bbr(connection: socket.socket) -> None:
    """Once connected: a route may name an algorithm of its own, and that counts from the connect on."""
    with suppress(OSError):  # a kernel without BBR: its own choice then
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, _BBR)


def knows_bbr() -> bool:
    """Whether this kernel has BBR for us: a module must be loaded already, as we may load none."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, _BBR)
        except OSError:
            return False
    return True


def begin_anew(connection: socket.socket) -> None:
    """After a rest, with nothing under way: BBR forgets how long ago it last saw the round trip of an empty
    link. Else, when that is ten seconds, it nearly empties the link to look, and that would be in the first
    round trips of a packet: an idle connection's few requests never count as a look."""
    with suppress(OSError):
        if connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0") == _BBR:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
            _prefer_bbr(connection)


class Pulse:
    """Whether the other end still acknowledges. NAT boxes forget a flow without a word: nothing comes back,
    and TCP itself would go on trying for minutes. Keepalive probes each second make that true of an idle
    flow as well."""

    def __init__(self, least_s: float) -> None:
        self._least_s = least_s
        self._began = self._quiet_since = self._looked = time.monotonic()

    def quiet_s(self, told: Gauge, now: float) -> float:
        """For how long what is under way has not been acknowledged; 0 when nothing is, or not yet for a round
        trip."""
        if now - self._looked > _UNWATCHED_S:  # at rest, or between two requests: count from now
            self._began = self._quiet_since = now
        self._looked = now
        if not told.unacked:
            self._quiet_since = now
        return max(0.0, min(told.heard_s, now - self._quiet_since - told.rtt_s))

    def is_dead(self, told: Gauge, now: float) -> bool:
        quiet_s = self.quiet_s(told, now)
        # A queue in front of a slow link makes the round trip long, and that is not death.
        patience = max(self._least_s, 3 * told.rtt_s + 4 * told.spread_s)
        if 0 < told.unacked < FEW:
            patience *= 2  # a burst of losses takes these, and their repetitions, and the answers to them
        if not told.unacked:
            # A probe a second: three were lost.
            return min(told.heard_s, now - self._began) > patience + 3.0
        return quiet_s > patience
