import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.drivers.eid.apdu import (
    Answer,
    BadAnswer,
    Command,
    Send,
    get_card_data,
    internal_authenticate,
    read_binary,
    right_length,
    select,
    whole_answer,
)
from device.drivers.eid.files import IDENTITY, PHOTO, RRN, BadStatus, read_file


def card(answer: Callable[[bytes], bytes]) -> Send:
    """The two layers over something that answers bytes with bytes."""

    def send(command: Command) -> Answer:
        return Answer.from_bytes(answer(command.to_bytes()), command)

    return whole_answer(right_length(send))


@pytest.mark.parametrize(
    ("command", "wire"),
    [
        (select(bytes.fromhex("3F00DF014031")), "00A4080C063F00DF014031"),
        (read_binary(0x1F8, 252), "00B001F8FC"),
        (read_binary(0, 256), "00B0000000"),
        (get_card_data(), "80E400001C"),
        (internal_authenticate(bytes(48)), "00880281329430" + "00" * 48),
    ],
)
def test_commands_are_the_bytes_of_the_manual(command: Command, wire: str) -> None:
    assert command.to_bytes().hex().upper() == wire


def test_data_and_le_never_go_together() -> None:
    with pytest.raises(ValueError):
        Command(0, 0xA4, 8, 0, b"\x3f\x00", 10)


@pytest.mark.parametrize("offset", [-1, 0x8000])
def test_an_offset_that_would_mean_another_file_is_not_sent(offset: int) -> None:
    with pytest.raises(ValueError):
        read_binary(offset, 1)


@pytest.mark.parametrize("raw", [b"", b"\x90", bytes(12) + b"\x90\x00"])
def test_an_answer_without_status_or_with_too_much_is_refused(raw: bytes) -> None:
    with pytest.raises(BadAnswer):
        Answer.from_bytes(raw, read_binary(0, 10))


def test_6cxx_is_asked_again_with_the_right_length() -> None:
    sent = []

    def answer(command: bytes) -> bytes:
        sent.append(command.hex())
        return b"\x6c\x03" if command[4] != 3 else b"abc\x90\x00"

    assert card(answer)(read_binary(0, 252)).data == b"abc"
    assert sent == ["00b00000fc", "00b0000003"]


def test_61xx_is_fetched_and_put_together_even_with_a_6cxx_on_the_way() -> None:
    answers = iter([b"\x61\x04", b"\x6c\x02", b"ab\x61\x02", b"cd\x90\x00"])
    assert card(lambda command: next(answers))(internal_authenticate(bytes(48))).data == b"abcd"


@pytest.mark.parametrize("status", [b"\x6c\x05", b"\x61\x05"])
def test_a_card_that_never_ends_is_left(status: bytes) -> None:
    with pytest.raises(BadAnswer):
        card(lambda command: status)(read_binary(0, 252))


def test_a_card_that_gives_more_and_more_is_left() -> None:
    with pytest.raises(BadAnswer):
        card(lambda command: bytes(command[4] or 256) + b"\x61\x00")(read_binary(0, 256))


def holding(content: bytes, resolves: bool = False) -> Callable[[bytes], bytes]:
    """A card, or a reader that resolves 6Cxx, with one file."""

    def answer(command: bytes) -> bytes:
        if command[1] == 0xA4:
            return b"\x90\x00"
        offset, length = command[2] << 8 | command[3], command[4] or 256
        if offset >= len(content):
            return b"\x6b\x00"
        here = content[offset : offset + length]
        if len(here) < length and not resolves:
            return bytes((0x6C, len(here)))
        return here + b"\x90\x00"

    return answer


@given(st.binary(max_size=2000), st.integers(1, 256), st.booleans())
def test_a_file_of_any_length_is_read_exactly(content: bytes, block: int, resolves: bool) -> None:
    assert read_file(card(holding(content, resolves)), PHOTO, block) == content


@pytest.mark.parametrize("length", [0, 1, 247, 248, 251, 252, 253, 255, 256, 257, 504, 3060, 3072, 15_000])
def test_lengths_round_the_block_are_read_exactly(length: int) -> None:
    content = bytes(index % 251 for index in range(length))
    assert read_file(card(holding(content)), PHOTO, 252) == content


def test_a_certificate_is_read_to_its_end_and_not_into_the_zeros() -> None:
    sequence = b"\x30\x82\x02\x58" + b"x" * 600
    assert read_file(card(holding(sequence + bytes(1100))), RRN, 252) == sequence
    zeros = read_file(card(holding(bytes(2500))), RRN, 252)
    assert zeros == bytes(252)
    assert read_file(card(holding(b"no certificate" * 30)), RRN, 252) == b"no certificate" * 30


def test_a_file_without_end_is_left() -> None:
    with pytest.raises(BadAnswer):
        read_file(
            card(lambda command: bytes(command[4] if command[1] == 0xB0 else 0) + b"\x90\x00"), PHOTO, 252
        )


def test_an_absent_file_is_none_and_a_refused_one_an_error() -> None:
    assert read_file(card(lambda command: b"\x6a\x82"), IDENTITY, 252) is None
    for status, foreign in ((b"\x6d\x00", True), (b"\x65\x81", False)):
        with pytest.raises(BadStatus) as caught:
            read_file(card(lambda command, status=status: status), IDENTITY, 252)  # type: ignore[misc]
        assert caught.value.foreign is foreign


@given(st.lists(st.binary(max_size=260), max_size=40))
def test_any_answers_end_in_a_file_or_a_named_error(answers: list[bytes]) -> None:
    left = iter(answers)
    with contextlib.suppress(BadAnswer, BadStatus):
        read_file(card(lambda command: next(left, b"\x6b\x00")), PHOTO, 252)
