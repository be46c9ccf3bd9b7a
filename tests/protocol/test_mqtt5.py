"""MQTT packets: literal bytes by the standard, any cut of a stream, and nothing but BadPacket for noise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import mqtt5
from protocol.mqtt5 import (
    BadPacket,
    Connack,
    Decoder,
    Disconnected,
    Packet,
    Pong,
    Puback,
    Publish,
    Suback,
    Will,
)

MOST = 65_536
KNOWN: list[tuple[bytes, Packet]] = [
    (bytes.fromhex("2003000000"), Connack(False, 0)),
    (
        bytes.fromhex("2014 01 00 11 2100c8 2700010000 2401 12000161 2200 0a"),
        Connack(True, 0, 200, 65_536),
    ),
    (bytes.fromhex("2003008700"), Connack(False, 0x87)),
    (bytes.fromhex("3209 0003 612f62 0007 00 21"), Publish("a/b", b"!", 7)),
    (bytes.fromhex("3007 0003 612f62 00 21"), Publish("a/b", b"!", 0)),
    (bytes.fromhex("320e 0003 612f62 0007 05 020000003c 21"), Publish("a/b", b"!", 7)),
    (bytes.fromhex("4002 0007"), Puback(7, 0)),
    (bytes.fromhex("4003 0007 10"), Puback(7, 0x10)),
    (bytes.fromhex("9005 0001 00 0187"), Suback(1, b"\x01\x87")),
    (bytes.fromhex("d000"), Pong()),
    (bytes.fromhex("e000"), Disconnected(0)),
    (bytes.fromhex("e001 98"), Disconnected(0x98)),
]
STREAM = b"".join(data for data, _ in KNOWN)


@pytest.mark.parametrize(("data", "packet"), KNOWN)
def test_a_packet_is_read_as_the_standard_says(data: bytes, packet: Packet) -> None:
    assert Decoder(MOST).feed(data) == [packet]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_any_cut_of_the_stream_gives_the_same_packets(cuts: list[int]) -> None:
    decoder, found, at = Decoder(MOST), [], 0
    for cut in [*sorted(cuts), len(STREAM)]:
        found += decoder.feed(STREAM[at:cut])
        at = cut
    assert found == [packet for _, packet in KNOWN]


@given(st.binary(max_size=60))
def test_noise_is_bad_or_waits_and_never_anything_else(noise: bytes) -> None:
    decoder = Decoder(MOST)
    try:
        decoder.feed(STREAM + noise)
    except BadPacket:
        return


@given(st.text(min_size=1, max_size=200), st.binary(max_size=40_000), st.integers(1, 65_535))
def test_what_we_publish_we_would_read(topic: str, payload: bytes, number: int) -> None:
    data = mqtt5.publish(topic, payload, number, retain=True, again=True)
    assert data[0] == 0x3B
    assert Decoder(MOST).feed(data) == [Publish(topic, payload, number)]


def test_what_we_say_is_what_the_standard_says() -> None:
    will = Will("w", b"gone", 30)
    assert mqtt5.connect("me", 60, 3600, 2000, 65_536, will) == bytes.fromhex(
        "102b 00044d515454 05 2c 003c 0d 1100000e10 2107d0 2700010000"
    ) + bytes.fromhex("0002 6d65 05 180000001e 0001 77 0004 676f6e65")
    assert mqtt5.subscribe(9, ["a", "b/+"]) == bytes.fromhex("820d 0009 00 0001 61 01 0003 622f2b 01")
    assert mqtt5.publish("a", b"x", 1) == bytes.fromhex("3207 0001 61 0001 00 78")
    assert mqtt5.pubacks([1, 500]) == bytes.fromhex("4002 0001 4002 01f4")


@pytest.mark.parametrize(
    "data",
    [
        bytes.fromhex("3409 0003 612f62 0007 00 21"),  # QoS 2
        bytes.fromhex("3206 0000 0007 00 21"),  # a topic alias, which we never allowed
        bytes.fromhex("3209 0003 612f62 0000 00 21"),  # no number
        bytes.fromhex("3209 0003 61ff62 0007 00 21"),  # not UTF-8
        bytes.fromhex("3204 00ff 6161"),  # a topic longer than its packet
        bytes.fromhex("3209 0003 612f62 0007 7f 21"),  # properties longer than their packet
        bytes.fromhex("320b 0003 612f62 0007 ffff ff21"),  # a length that never ends
        bytes.fromhex("30ffffffff01"),
        bytes.fromhex("3080808001"),  # longer than we take
        bytes.fromhex("2002 0000"),  # a CONNACK without properties
        bytes.fromhex("2003 0000 05"),
        bytes.fromhex("2005 0000 02 ff00"),  # an unknown property
        bytes.fromhex("2005 0000 02 2700"),  # a property that ends too late
        bytes.fromhex("4001 00"),
        bytes.fromhex("9000"),
        bytes.fromhex("a000"),
        bytes.fromhex("0000"),
    ],
)
def test_what_no_broker_may_send_is_bad(data: bytes) -> None:
    with pytest.raises(BadPacket):
        Decoder(MOST).feed(data)


def test_a_length_of_three_bytes_is_waited_for() -> None:
    data = mqtt5.publish("a/b", b"x" * 40_000, 1)
    decoder = Decoder(MOST)
    assert decoder.feed(data[:2]) == []
    assert decoder.feed(data[2:3]) == []
    assert decoder.feed(data[3:]) == [Publish("a/b", b"x" * 40_000, 1)]
