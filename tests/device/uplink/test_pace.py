"""How a connection is paced while it starts, and what follows its last bytes."""

import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device.uplink import gauge
from device.uplink.gauge import Gauge
from device.uplink.pace import Pace
from device.uplink.path import Pulse, begin_anew, knows_bbr
from device.uplink.tail import EVERY_S, FIRST_S, MOST, Tail

RTT_S = 0.2
LINK = 120_000  # bytes a second
UNLIMITED = 2**64 - 1
EMPTY = Gauge(1, 0, 0, 0.0, RTT_S, 0.01, RTT_S, 0, True)
MANY = 20  # packets


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        yield made


def paced(connection: socket.socket) -> int:
    told: int = struct.unpack("=Q", connection.getsockopt(socket.SOL_SOCKET, 47, 8))[0]
    return told


def at(rate: int, queue_s: float, starting: bool = True) -> Gauge:
    on_way = int(rate * (RTT_S + queue_s))
    return replace(EMPTY, rate=rate, on_way=on_way, rtt_s=RTT_S + queue_s, starting=starting)


def test_a_start_that_still_grows_is_not_held(connection: socket.socket) -> None:
    pace = Pace(connection)
    for step in range(20):
        pace.look(at(int(10_000 * 1.3**step), queue_s=0.3), step * 0.25)
    assert paced(connection) == UNLIMITED


def test_a_full_link_with_a_queue_holds_the_start_until_it_is_over(connection: socket.socket) -> None:
    pace = Pace(connection)
    pace.look(at(LINK, 0.0), 0.0)
    pace.look(at(LINK, 0.2), 0.1)
    assert paced(connection) == UNLIMITED  # not a round trip yet
    pace.look(at(LINK, 0.2), 0.3)
    pace.look(at(LINK, 0.2), 0.4)
    assert 0.8 * LINK < paced(connection) < LINK  # the queue is to run empty
    pace.look(at(LINK, 0.0), 0.5)
    assert paced(connection) == int(1.25 * LINK)  # and is empty
    pace.look(at(LINK, 0.0, starting=False), 0.6)
    assert paced(connection) == UNLIMITED
    for later in range(20):
        pace.look(at(LINK, 0.3), 1.0 + later)
    assert paced(connection) == UNLIMITED  # only the start is ours to hold


def test_losses_of_the_start_are_not_taken_for_a_full_link(connection: socket.socket) -> None:
    pace = Pace(connection)
    for tick in range(20):  # much seems to be under way, but no round trip is longer than it was
        pace.look(replace(at(LINK // 5, 0.3), rtt_s=RTT_S), tick * 0.2)
    assert paced(connection) == UNLIMITED


def test_a_start_is_never_held_for_long(connection: socket.socket) -> None:
    pace = Pace(connection)
    for tick in range(100):
        pace.look(at(LINK, 0.2), tick * 0.05)
    assert paced(connection) == UNLIMITED


def found(connection: socket.socket) -> Pace:
    """A connection whose rate BBR has found."""
    pace = Pace(connection)
    pace.look(at(LINK, 0.0), 0.0)
    pace.look(at(LINK, 0.0, starting=False), 1.0)
    assert paced(connection) == UNLIMITED
    return pace


def test_while_nobody_answers_the_sender_slows_down_and_nearly_stops_until_it_hears_something(
    connection: socket.socket,
) -> None:
    pace, busy = found(connection), replace(at(LINK, 0.0, starting=False), not_sent=50_000, unacked=MANY)
    pace.look(busy, 2.0, quiet_s=0.07)
    assert paced(connection) == UNLIMITED
    pace.look(busy, 2.1, quiet_s=0.1)
    assert paced(connection) == LINK // 4
    pace.look(busy, 2.2, quiet_s=0.4)
    assert paced(connection) == LINK // 24
    pace.look(busy, 2.3, quiet_s=0.0)
    assert paced(connection) == UNLIMITED
    # Their silences say less.
    for other in (replace(busy, lossy=0.05), replace(busy, spread_s=0.1), replace(busy, unacked=3)):
        pace.look(other, 2.4, quiet_s=0.2)
        assert paced(connection) == UNLIMITED


def test_the_last_bytes_are_not_held_back_and_a_slow_link_may_be_quiet_for_longer(
    connection: socket.socket,
) -> None:
    pace = found(connection)
    pace.look(replace(at(LINK, 0.0, starting=False), not_sent=0), 2.0, quiet_s=1.0)
    assert paced(connection) == UNLIMITED
    pace.look(replace(at(LINK // 10, 0.0, starting=False), not_sent=50_000), 3.0, quiet_s=0.8)
    assert paced(connection) == UNLIMITED
    Pace(connection).look(replace(at(LINK, 0.0), not_sent=50_000), 4.0, quiet_s=1.0)  # it does not know yet
    assert paced(connection) == UNLIMITED


@pytest.mark.parametrize("told", [at(0, 0.0), replace(at(LINK, 0.3), least_rtt_s=0.0), at(5_000, 0.3)])
def test_what_is_not_known_or_slow_anyway_is_not_held(connection: socket.socket, told: Gauge) -> None:
    pace = Pace(connection)
    for tick in range(20):
        pace.look(told, tick * 0.2)
    assert paced(connection) == UNLIMITED


def test_the_kernel_says_how_a_connection_goes() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as near,
    ):
        far, _ = listener.accept()
        with far:
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
            near.sendall(bytes(100_000))
            got = 0
            while got < 100_000:
                got += len(far.recv(65_536))
            told = gauge.read(near)
    assert told is not None
    assert 0 < told.least_rtt_s <= told.rtt_s < 5
    assert told.rate > 0
    assert told.not_sent == 0
    assert not told.starting


def test_a_kernel_without_bbr_is_noticed() -> None:
    knows = knows_bbr()  # root loads it by asking
    there = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    assert knows == ("bbr" in there)


def test_bbr_begins_anew_after_a_rest_and_no_other_congestion_control_is_touched() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as near,
    ):
        far, _ = listener.accept()
        with far:
            for name in (b"cubic", b"bbr"):
                try:
                    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name)
                except OSError:
                    pytest.skip("a kernel without BBR")
                near.sendall(b"?" * 3000)
                far.recv(3000, socket.MSG_WAITALL)
                begin_anew(near)
                assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0") == name
            told = gauge.read(near)
    assert told is not None
    assert (told.starting, told.rate) == (True, 0)


def test_nudges_follow_the_last_bytes_once_these_are_out_and_come_to_an_end() -> None:
    tail, said = Tail(lambda: b"?"), 0
    assert tail.next(False, 10.0) is None
    assert tail.next(True, 10.0) is None
    assert tail.next(True, 10.0 + FIRST_S) == b"?"
    assert tail.next(True, 10.0 + FIRST_S) is None
    for tick in range(1, 200):
        said += tail.next(True, 10.0 + FIRST_S + tick * EVERY_S) is not None
    assert said == MOST - 1


def test_a_connection_that_was_at_rest_is_not_taken_for_dead() -> None:
    busy, idle = replace(EMPTY, unacked=20, heard_s=400.0), replace(EMPTY, unacked=0, heard_s=400.0)
    assert silence_until_death(busy) == pytest.approx(1.2 + RTT_S, abs=0.2)  # nothing can come in the first
    assert silence_until_death(idle) == pytest.approx(1.2 + 3.0, abs=0.2)


def test_few_packets_are_given_twice_as_long_before_their_path_is_dead() -> None:
    few = replace(EMPTY, unacked=3, heard_s=400.0)
    assert silence_until_death(few) == pytest.approx(2 * 1.2 + RTT_S, abs=0.2)


def silence_until_death(told: Gauge) -> float:
    """Of a connection at which nobody has looked for a minute, looked at each tenth of a second from then."""
    pulse = Pulse(1.2)
    begin = time.monotonic() + 60.0
    return next(tick / 10 for tick in range(200) if pulse.is_dead(told, begin + tick / 10))
