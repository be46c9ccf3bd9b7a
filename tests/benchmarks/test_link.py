"""The emulated link: what it loses, delays and forgets follows from its seed alone."""

import pytest

from benchmarks.link.emulator import Link, Weather
from benchmarks.link.ledger import Ledger
from benchmarks.link.ours import limit_s


def packet(source: int = 4000, length: int = 1000) -> bytes:
    """IPv4 with TCP, from a port to 8751."""
    header = bytes([0x45, 0]) + length.to_bytes(2) + bytes(5) + bytes([6]) + bytes(10)
    return (header + source.to_bytes(2) + (8751).to_bytes(2)).ljust(length, b"\0")


def arrivals(weather: Weather, seed: int, number: int = 4000) -> list[float | None]:
    link = Link(weather, seed)
    return [link.carry(packet(), "up", 0.1 * each) for each in range(number)]


def test_the_same_seed_loses_the_same_packets_and_another_one_others() -> None:
    weather = Weather(loss=0.05, burst=3)
    assert arrivals(weather, 1) == arrivals(weather, 1)
    assert arrivals(weather, 1) != arrivals(weather, 2)


@pytest.mark.parametrize("burst", [1, 3])
def test_as_many_are_lost_as_it_says(burst: float) -> None:
    lost = arrivals(Weather(loss=0.05, burst=burst), 3, 20_000).count(None)
    assert lost / 20_000 == pytest.approx(0.05, abs=0.012)


def test_a_packet_needs_its_bytes_at_the_rate_and_half_the_round_trip() -> None:
    link = Link(Weather(up_kbit=1000, rtt_s=0.2), 1)
    assert link.carry(packet(length=1250), "up", 5.0) == pytest.approx(5.0 + 0.01 + 0.1)
    assert link.carry(packet(length=1250), "up", 5.0) == pytest.approx(5.0 + 0.02 + 0.1)


def test_a_full_queue_drops() -> None:
    link = Link(Weather(queue_s=0.05), 1)
    assert [link.carry(packet(length=1250), "up", 0.0) for _ in range(8)].count(None) == 2
    assert link.ways["up"].counters.overflowed == 2


def test_after_a_gap_the_flows_of_before_are_forgotten_and_new_ones_are_not() -> None:
    link = Link(Weather(up_s=7, down_s=4, forgets=True), 1)
    assert link.carry(packet(4000), "up", 100.0) is not None
    assert link.carry(packet(4000), "up", 108.0) is None
    assert link.carry(packet(4000), "up", 112.0) is None
    assert link.carry(packet(4001), "up", 112.0) is not None
    counted = link.ways["up"].counters
    assert (counted.in_gap, counted.forgotten) == (1, 1)


def test_the_limits_are_those_of_the_bytes_the_talk_and_the_gaps() -> None:
    assert limit_s(600_000, Weather()) == pytest.approx(5.68, abs=0.01)
    assert limit_s(600_000, Weather(loss=0.05)) == pytest.approx(5.94, abs=0.01)
    assert limit_s(900_000, Weather(loss=0.02, up_s=7, down_s=4)) == pytest.approx(13.0, abs=0.1)


def segment(number: int, size: int, source: int = 4000) -> bytes:
    """IPv4 with TCP without options and `size` bytes of payload, the first of them called `number`."""
    header = bytes([0x45, 0]) + (40 + size).to_bytes(2) + bytes(5) + bytes([6]) + bytes(10)
    ports = source.to_bytes(2) + (8751).to_bytes(2)
    return header + ports + (number % 2**32).to_bytes(4) + bytes(4) + bytes([5 << 4]) + bytes(7 + size)


def test_the_ledger_knows_what_was_sent_again_and_whether_it_had_to_be() -> None:
    ledger, first = Ledger(), 2**32 - 150  # its numbers begin again on the way
    for number, size, arrives in (
        (0, 100, True),
        (100, 100, False),
        (200, 100, True),
        (100, 100, False),  # lost again
        (100, 100, True),
        (150, 150, True),  # all of it was there
        (250, 100, True),  # half of it
        (350, 0, True),
    ):
        ledger.take(segment(first + number, size), arrives)
    assert ledger.told == {"fresh": 350, "again": 200, "spare": 200, "headers": 7 * 40, "bare": 40}


def test_the_ledger_keeps_connections_apart() -> None:
    ledger = Ledger()
    for source in (4000, 4001):
        ledger.take(segment(1, 100, source), True)
    assert (ledger.fresh, ledger.spare) == (200, 0)
