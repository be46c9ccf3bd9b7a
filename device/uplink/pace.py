"""How fast a connection may send while BBR starts, and while nobody answers.

BBR sends nearly three times what the link carries until three round trips have brought nothing more. On a
link with a deep queue these round trips become long: for two seconds the queue overflows, what it dropped is
sent again, and every repair waits behind it. So once the rate has not grown for a round trip and more is
under way than the link holds, the sender is held near that rate, below it while there is a queue and above it
while there is none, until BBR has ended its start.

And when nothing is acknowledged for as long as a few packets take, what TCP goes on sending, two windows of
it, is as good as lost: in a gap of the link all of it has to go again over the next connection. So the sender
slows down, and nearly stops, until it hears something. On a link that loses much such silences say less.
"""

import socket
import struct
from contextlib import suppress

from device.uplink.gauge import Gauge
from device.uplink.path import FEW

_SO_MAX_PACING_RATE = 47  # asm-generic/socket.h; the socket module has no name for it
_UNLIMITED = 2**64 - 1
_GROWN = 1.25  # by so much in a round trip, or the rate has been found
_BELOW = 0.88  # of the rate of the link, while its queue is to run empty
_QUEUE_S, _LEFT_S = 0.05, 0.03  # of queue: begin to hold; as good as empty
_HOLD_S = 3.0  # at most
_LEAST_RATE = 12_500  # bytes a second; what is slower needs no holding
# The longest of these without an acknowledgement: slow down. Packets; times the spread of the round trip.
_SILENT_S, _SILENT_PACKETS, _SPREADS = 0.08, 7, 3
_LONG = 4  # so many times as long: nearly stop
_LOSSY, _LOSSY_TIMES = 0.045, 3  # where so much is lost, so much longer
_PACKET = 1_440
_SLOWLY, _HARDLY = 1 / 4, 1 / 24  # of the rate of the link


class Pace:
    """Of one connection. Times of `time.monotonic`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._best, self._grown, self._grew_at = 0, 0.0, 0.0
        self._until = 0.0
        self._limited = _UNLIMITED
        self._over = False

    def look(self, told: Gauge, now: float, quiet_s: float = 0.0) -> None:
        """`quiet_s`: for how long what is under way has not been acknowledged."""
        started = self._start(told, now)
        self._limit(min(started, self._silent(told, quiet_s)))

    def _start(self, told: Gauge, now: float) -> int:
        """What the start of BBR may send."""
        self._best = max(self._best, told.rate)  # after losses BBR may end its start below what the link has
        if self._over:
            return _UNLIMITED
        if told.rate and told.least_rtt_s:
            # Both: what is under way tells at once, but after losses takes a low rate for a full link.
            queue_s = min(told.on_way / self._best, told.rtt_s) - told.least_rtt_s
            if self._until:
                if now <= self._until and told.starting:
                    return int(self._best * (_BELOW if queue_s > _LEFT_S else _GROWN))
                self._over = True
                return _UNLIMITED
            if not told.starting:
                # It has found the rate by itself, or looks anew at the round trip of an idle link.
                self._over = self._best > _LEAST_RATE
                return _UNLIMITED
            if told.rate >= _GROWN * self._grown:
                self._grown, self._grew_at = told.rate, now
            elif now - self._grew_at > told.least_rtt_s and queue_s > _QUEUE_S and told.rate > _LEAST_RATE:
                self._until = now + _HOLD_S
        return _UNLIMITED

    def _silent(self, told: Gauge, quiet_s: float) -> int:
        """What may be sent while nobody answers. What is not sent yet can wait; the last bytes, which
        nothing follows, must not."""
        if not self._over or not told.not_sent or not self._best or told.unacked < FEW:
            return _UNLIMITED
        packet_s = _PACKET / min(self._best, told.rate or self._best)
        patience = max(_SILENT_S, _SILENT_PACKETS * packet_s, _SPREADS * told.spread_s)
        patience *= _LOSSY_TIMES if told.lossy > _LOSSY else 1
        if quiet_s < patience:
            return _UNLIMITED
        return int(self._best * (_SLOWLY if quiet_s < _LONG * patience else _HARDLY))

    def _limit(self, rate: int) -> None:
        if rate == self._limited:
            return
        self._limited = rate
        with suppress(OSError):  # a connection that is no more says so where it is read
            self._connection.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, struct.pack("=Q", rate))
