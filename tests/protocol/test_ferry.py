"""A packet in pieces through the broker: literal vectors, and everything else refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import ferry
from protocol.ferry import LARGEST, LONGEST_PIECE, Begin, Piece, Standing
from protocol.messages import BadMessage
from protocol.topics import FLEET_LISTENS, kit_listens

PACKET = "01J00000000000000000000001"
CORR = "01J00000000000000000000002"
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mqtt" / "ferry.json").read_text())


def test_the_literal_messages_are_written_and_read() -> None:
    begin = Begin(CORR, 600_000, "ab" * 32)
    piece = Piece(7, 16_384, b"sealed")
    standing = Standing("", PACKET, 16_390, 7, "open", "")
    assert VECTORS["begin"]["text"].encode() == ferry.encode(begin)
    assert bytes.fromhex(VECTORS["piece"]["hex"]) == ferry.encode(piece)
    assert VECTORS["standing"]["text"].encode() == ferry.encode(standing)
    assert ferry.decode_up(VECTORS["begin"]["text"].encode()) == begin
    assert ferry.decode_up(bytes.fromhex(VECTORS["piece"]["hex"])) == piece
    assert ferry.decode_down(VECTORS["standing"]["text"].encode()) == standing
    assert VECTORS["begin"]["topic"] == VECTORS["piece"]["topic"] == ferry.up_topic("kit-brugge-01", PACKET)
    assert VECTORS["standing"]["topic"] == ferry.down_topic("kit-brugge-01")
    assert ferry.parse_up(VECTORS["piece"]["topic"]) == ("kit-brugge-01", PACKET)


@pytest.mark.parametrize("bad", VECTORS["refused"], ids=lambda bad: bad["why"])
def test_the_literal_bad_ones_are_refused(bad: dict[str, str]) -> None:
    with pytest.raises(BadMessage):
        ferry.decode_up(bytes.fromhex(bad["hex"]))


@given(generation=st.integers(0, 2**53 - 1), offset=st.integers(0, 2**40), data=st.binary(min_size=1))
def test_what_is_written_is_read(generation: int, offset: int, data: bytes) -> None:
    piece = Piece(generation, offset, data)
    assert ferry.decode_up(ferry.encode(piece)) == piece


@given(st.binary(max_size=200))
def test_noise_is_refused_and_nothing_else_happens(data: bytes) -> None:
    for decode in (ferry.decode_up, ferry.decode_down):
        with pytest.raises(BadMessage):
            decode(data)


@given(at=st.integers(0, 60), bit=st.integers(0, 7))
def test_a_piece_with_a_bit_turned_is_not_the_piece(at: int, bit: int) -> None:
    piece = Piece(3, 100, b"x" * 20)
    data = bytearray(ferry.encode(piece))
    data[at] ^= 1 << bit
    try:
        read = ferry.decode_up(bytes(data))
    except BadMessage:
        return
    assert read != piece  # a number of the head: the fence refuses it


@pytest.mark.parametrize(
    "piece",
    [
        Piece(1, 0, b""),
        Piece(1, 0, b"x" * (LONGEST_PIECE + 1)),
        Piece(-1, 0, b"x"),
        Piece(2**53, 0, b"x"),
        Piece(1, 2**40 + 1, b"x"),
    ],
)
def test_a_piece_out_of_bounds_is_not_written(piece: Piece) -> None:
    with pytest.raises(BadMessage):
        ferry.encode(piece)


def test_what_is_too_long_is_refused_unread() -> None:
    assert len(ferry.encode(Piece(1, 0, b"x" * LONGEST_PIECE))) == LARGEST < 32_768
    with pytest.raises(BadMessage, match="too-big"):
        ferry.decode_up(b"{" * (LARGEST + 1))
    with pytest.raises(BadMessage, match="too-big"):
        ferry.decode_down(b"{" * 1025)


def test_a_begin_or_standing_with_more_in_it_or_of_another_kind_is_refused() -> None:
    good = ferry.encode(Begin(CORR, 1, "ab" * 32))
    for bad in (good.replace(b'"size":1', b'"size":0'), good[:-1] + b',"name":"x"}'):
        with pytest.raises(BadMessage):
            ferry.decode_up(bad)
    with pytest.raises(BadMessage):
        ferry.encode(Standing("", "no packet", 0, 0, "open", ""))


@pytest.mark.parametrize(
    "topic",
    [
        f"tl/v1/kit/kit-a/up/ferry/{PACKET}/",
        "tl/v1/kit/kit-a/up/ferry/x",
        "tl/v1/kit/kit-a/up/ferry",
        f"tl/v1/kit/KIT/up/ferry/{PACKET}",
        f"tl/v1/kit/kit-a/up/other/{PACKET}",
    ],
)
def test_another_topic_is_none_of_a_packet(topic: str) -> None:
    with pytest.raises(BadMessage):
        ferry.parse_up(topic)


def test_topics_are_for_kits_and_packets() -> None:
    for kit, packet in (("kit-A", PACKET), ("kit-a", "#")):
        with pytest.raises(ValueError, match="not a kit"):
            ferry.up_topic(kit, packet)
    with pytest.raises(ValueError, match="not a kit"):
        ferry.down_topic("+")
    assert ferry.is_up(ferry.up_topic("kit-a", PACKET))
    assert not ferry.is_up("tl/v1/kit/kit-a/up/evt/visit")
    assert ferry.down_topic("kit-a") in kit_listens("kit-a")
    assert "tl/v1/kit/+/up/ferry/+" in FLEET_LISTENS
