"""Messages in their small form: both sides have the dictionary, and nothing swells beyond its bound."""

import json
import zlib
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.messages import MAX_BYTES, BadMessage, decode, squeeze
from protocol.messages.squeeze import DICTIONARY, unsqueeze

VECTORS = Path(__file__).parents[1] / "vectors" / "mqtt"
SMALL = json.loads((VECTORS / "squeezed.json").read_text())
MESSAGES = json.loads((VECTORS / "messages.json").read_text())


def test_the_dictionary_is_the_one_of_the_protocol() -> None:
    assert (VECTORS / "dictionary.txt").read_bytes() == DICTIONARY
    assert sha256(DICTIONARY).hexdigest() == SMALL["dictionary_sha256"]


def test_the_literal_small_message_is_read() -> None:
    plain = SMALL["plain"].encode()
    assert unsqueeze(bytes.fromhex(SMALL["small"]), MAX_BYTES) == plain
    assert decode(SMALL["topic"], bytes.fromhex(SMALL["small"])) == decode(SMALL["topic"], plain)
    assert len(squeeze(plain)) < len(plain) / 3


@given(st.binary(max_size=2000))
def test_what_is_squeezed_comes_back(data: bytes) -> None:
    data = b"{" + data  # a message begins so
    small = squeeze(data)
    assert len(small) <= len(data)
    assert unsqueeze(small, 4000) == data


@given(st.binary(max_size=300))
def test_noise_is_refused_or_bounded(data: bytes) -> None:
    try:
        read = unsqueeze(b"z" + data, 1000)
    except BadMessage:
        return
    assert len(read) <= 1000


def packed(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)
    return b"z" + packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (packed(b"{" + b" " * 40_000_000), "too-big"),
        (packed(b"{}") + b"more", "malformed"),
        (packed(b"{}")[:-1], "malformed"),
        (b"z", "malformed"),
        (b"z\xff\xff", "malformed"),
    ],
)
def test_a_bomb_a_tail_and_a_torn_one_are_refused(data: bytes, code: str) -> None:
    with pytest.raises(BadMessage) as no:
        unsqueeze(data, MAX_BYTES)
    assert no.value.code == code


def test_every_literal_message_is_the_same_in_both_forms() -> None:
    for message in MESSAGES:
        data = message["payload"].encode()
        assert unsqueeze(squeeze(data), MAX_BYTES) == data
