"""What the kernel knows of a TCP connection (linux/tcp.h, linux/inet_diag.h), as far as we ask it."""

import socket
import struct
from contextlib import suppress
from dataclasses import dataclass

_INFO = struct.Struct("8x24I4Q6IQ")  # struct tcp_info up to tcpi_delivery_rate, since Linux 4.9
_MSS, _UNACKED, _SACKED, _LOST, _AGAIN = 2, 4, 5, 6, 7
_LAST_ACK_MS, _RTT_US, _RTTVAR_US, _ALL_AGAIN, _ALL_SENT, _NOT_SENT = 12, 15, 16, 23, 28, 30
_LEAST_RTT_US, _RATE = 31, 34
_CC_INFO = 26  # TCP_CC_INFO; the socket module has no name for it
_BBR = struct.Struct("5I")  # struct tcp_bbr_info: bandwidth (2), least round trip, gains of pacing and window
_STARTS_ABOVE = 2 * 256  # of the gain of pacing in 1/256: 2.9 while BBR starts, never above 1.25 later
_NOT_YET = 0  # before it has heard anything of what it sends


@dataclass(frozen=True)
class Gauge:
    """`unacked`: segments without any acknowledgement; `on_way`: bytes that may still be under way;
    `not_sent`: bytes that wait in the kernel; `heard_s`: since the last acknowledgement; `rtt_s`: smoothed,
    with its spread and the least of late; `rate`: bytes a second that have arrived of late; `starting`: BBR
    still looks for the rate; `lossy`: the share of what was sent that was sent again."""

    unacked: int
    on_way: int
    not_sent: int
    heard_s: float
    rtt_s: float
    spread_s: float
    least_rtt_s: float
    rate: int
    starting: bool
    lossy: float = 0.0


def read(connection: socket.socket) -> Gauge | None:
    """None of a kernel that we do not know. OSError of a connection that is no more."""
    told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    if len(told) < _INFO.size:
        return None
    info: tuple[int, ...] = _INFO.unpack(told)
    bbr = b""
    with suppress(OSError):  # a kernel that does not tell
        bbr = connection.getsockopt(socket.IPPROTO_TCP, _CC_INFO, _BBR.size)
    gain = _BBR.unpack(bbr)[3] if len(bbr) == _BBR.size else None
    return Gauge(
        unacked=max(0, info[_UNACKED] - info[_SACKED]),
        on_way=max(0, info[_UNACKED] - info[_SACKED] - info[_LOST] + info[_AGAIN]) * info[_MSS],
        not_sent=info[_NOT_SENT],
        heard_s=info[_LAST_ACK_MS] / 1000,
        rtt_s=info[_RTT_US] / 1e6,
        spread_s=info[_RTTVAR_US] / 1e6,
        least_rtt_s=info[_LEAST_RTT_US] / 1e6,
        rate=info[_RATE] if gain != _NOT_YET else 0,  # else it is that of a few requests long ago
        starting=gain is not None and (gain == _NOT_YET or gain > _STARTS_ABOVE),
        lossy=info[_ALL_AGAIN] / max(1, info[_ALL_SENT]),
    )
