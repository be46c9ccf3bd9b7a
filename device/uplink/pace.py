"""How fast a connection may send while BBR starts, so that it does not fill the queue of the modem.

BBR sends nearly three times what the link carries until three round trips have brought nothing more. On a
link with a deep queue these round trips become long: for two seconds the queue overflows, what it dropped is
sent again, and every repair waits behind it. So once the rate has not grown for a round trip and more is
under way than the link holds, the sender is held near that rate, below it while there is a queue and above it
while there is none, until BBR has ended its start. From then on it is left alone.
"""

import socket
import struct
from contextlib import suppress

from device.uplink.gauge import Gauge

_SO_MAX_PACING_RATE = 47  # asm-generic/socket.h; the socket module has no name for it
_UNLIMITED = 2**64 - 1
_GROWN = 1.25  # by so much in a round trip, or the rate has been found
_BELOW = 0.88  # of the rate of the link, while its queue is to run empty
_QUEUE_S, _LEFT_S = 0.05, 0.03  # of queue: begin to hold; as good as empty
_HOLD_S = 3.0  # at most
_LEAST_RATE = 12_500  # bytes a second; what is slower needs no holding


class Pace:
    """Of one connection. Times of `time.monotonic`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._best, self._grown, self._grew_at = 0, 0.0, 0.0
        self._until = 0.0
        self._limited = _UNLIMITED
        self._over = False

    def look(self, told: Gauge, now: float) -> None:
        if self._over or not told.rate or not told.least_rtt_s:
            return
        self._best = max(self._best, told.rate)
        # Both: what is under way tells at once, but after losses takes a low rate for a full link.
        queue_s = min(told.on_way / self._best, told.rtt_s) - told.least_rtt_s
        if self._until:
            if now > self._until or not told.starting:
                self._over = True
                self._limit(_UNLIMITED)
            else:
                self._limit(int(self._best * (_BELOW if queue_s > _LEFT_S else _GROWN)))
        elif not told.starting:
            return  # it has found the rate by itself, or looks anew at the round trip of an idle link
        elif told.rate >= _GROWN * self._grown:
            self._grown, self._grew_at = told.rate, now
        elif now - self._grew_at > told.least_rtt_s and queue_s > _QUEUE_S and told.rate > _LEAST_RATE:
            self._until = now + _HOLD_S

    def _limit(self, rate: int) -> None:
        if rate == self._limited:
            return
        self._limited = rate
        with suppress(OSError):  # a connection that is no more says so where it is read
            self._connection.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, struct.pack("=Q", rate))
