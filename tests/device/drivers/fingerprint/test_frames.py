"""The SFM codec: bytes in any portions, noise, damage, and what counts as an image."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.drivers.fingerprint.sfm.frames import (
    HEADER,
    LARGEST_IMAGE,
    PACKET_SIZE,
    BadImage,
    Block,
    Broken,
    Command,
    Decoder,
    Packet,
    encode,
    read_image,
)

packets = st.builds(
    Packet,
    st.integers(0, 255).filter(lambda c: c not in (Command.SI, Command.RI)),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 255),
)


def answer_with(data: bytes, command: int = Command.SI) -> bytes:
    return encode(Packet(command, 0, len(data), 0x61)) + data + b"\x0a"


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[a:b] for a, b in pairwise(edges)]


def header(**changed: int) -> bytes:
    fields = {
        "width": 272,
        "height": 320,
        "compressed": 0,
        "encrypted": 0,
        "format": 0,
        "length": 87040,
        "template": 0,
    }
    return struct.pack("<7I", *(fields | changed).values())


def test_the_manuals_worked_example() -> None:
    assert encode(Packet(0x05, 0x9929)) == bytes.fromhex("40052999000000000000 00 07 0A".replace(" ", ""))


@given(packets)
def test_a_packet_reads_back(packet: Packet) -> None:
    assert Decoder().feed(encode(packet)) == [packet]


@given(st.lists(packets | st.binary(max_size=60), max_size=5), st.lists(st.integers(0, 10**6), max_size=8))
def test_any_cut_of_the_stream_gives_the_same_frames(parts: list[Packet | bytes], places: list[int]) -> None:
    stream = b"".join(encode(p) if isinstance(p, Packet) else answer_with(p or b"x") for p in parts)
    whole, pieces = Decoder(), Decoder()
    expected = whole.feed(stream)
    assert [frame for piece in cut(stream, places) for frame in pieces.feed(piece)] == expected
    assert len([f for f in expected if isinstance(f, Packet)]) == len(parts)


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=80), max_size=6))
def test_noise_never_raises_and_is_never_kept(noise: list[bytes]) -> None:
    decoder = Decoder()
    for piece in noise:
        decoder.feed(piece)
    assert decoder.share is not None or len(decoder._buffer) < PACKET_SIZE


@given(packets, st.binary(max_size=30).filter(lambda noise: 0x40 not in noise))
def test_a_packet_is_found_behind_noise(packet: Packet, noise: bytes) -> None:
    assert Decoder().feed(noise + encode(packet)) == [packet]


@given(packets, packets, st.integers(0, PACKET_SIZE - 1), st.integers(1, 255))
def test_a_changed_byte_costs_that_packet_only(
    first: Packet, second: Packet, place: int, change: int
) -> None:
    damaged = bytearray(encode(first))
    damaged[place] ^= change
    frames = Decoder().feed(bytes(damaged) + b"\x00" * PACKET_SIZE + encode(second))
    assert first not in frames[:-1]
    assert frames[-1] == second


def test_an_answer_with_data_is_a_packet_and_a_block() -> None:
    frames = Decoder().feed(answer_with(b"pixels"))
    assert frames == [Packet(Command.SI, 0, 6, 0x61), Block(Command.SI, b"pixels")]


def test_a_parameters_value_is_no_length() -> None:
    assert Decoder().feed(encode(Packet(Command.SR, 0, 0x3A, 0x61))) == [Packet(Command.SR, 0, 0x3A, 0x61)]


@pytest.mark.parametrize("data", [b"pixels", b"pix"])
def test_a_block_with_a_byte_too_many_or_too_few_is_broken(data: bytes) -> None:
    stream = encode(Packet(Command.SI, 0, 5, 0x61)) + data + b"\x0a"
    after = encode(Packet(Command.RI, 0, 0, 0x69))
    frames = Decoder().feed(stream + after)
    assert frames[1] == Broken(Command.SI)
    assert frames[-1] == Packet(Command.RI, 0, 0, 0x69) or len(data) < 5


def test_a_length_no_sensor_has_is_noise() -> None:
    assert Decoder().feed(encode(Packet(Command.SI, 0, LARGEST_IMAGE + 1, 0x61))) == []


def test_the_share_of_a_block_grows() -> None:
    decoder = Decoder()
    assert decoder.share is None
    decoder.feed(encode(Packet(Command.SI, 0, 99, 0x61)) + bytes(50))
    assert decoder.share == 0.5


def test_a_grey_image() -> None:
    image = read_image(header() + bytes(range(256)) * 340)
    assert (image.width, image.height, len(image.pixels)) == (272, 320, 87040)
    assert image.pixels[:3] == b"\x00\x01\x02"


@pytest.mark.parametrize(
    "block",
    [
        b"",
        header()[:-1],
        header() + bytes(87039),
        header(format=1) + bytes(87040),
        header(format=2) + bytes(87040),
        header(compressed=1) + bytes(87040),
        header(encrypted=1) + bytes(87040),
        header(length=87041) + bytes(87041),
        header(width=2**31, height=2, length=0) + bytes(87040),
        header(width=0, height=0, length=0) + bytes(87040),
    ],
)
def test_what_is_no_plain_grey_image_is_refused(block: bytes) -> None:
    with pytest.raises(BadImage):
        read_image(block)


@given(st.binary(max_size=HEADER.size + 40))
def test_a_block_of_noise_is_refused_or_read(block: bytes) -> None:
    try:
        image = read_image(block)
    except BadImage:
        return
    assert len(image.pixels) == image.width * image.height
