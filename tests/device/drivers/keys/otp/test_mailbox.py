"""The property message for the device key, against the example that Raspberry Pi's documentation prints."""

import struct

import pytest

from device.drivers.keys.otp.mailbox import BadMessage, ask_private_key, private_key

# `vcmailbox 0x00030081 40 40 0 8 0 0 0 0 0 0 0 0`, and what it answered on a board
ASKED = (0x40, 0, 0x00030081, 40, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0)
ROWS = (
    0xF8DBC7B0, 0xA4FCFB1D, 0x706E298A, 0xC9D0485C, 0x2226CE8D, 0xF7F7596A, 0xC77337BD, 0x09FBE160,
)  # fmt: skip
ANSWERED = (0x40, 0x80000000, 0x00030081, 0x28, 0x80000028, 0, 8, *ROWS, 0)


def words(values: tuple[int, ...]) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def changed(place: int, value: int) -> bytes:
    told = list(ANSWERED)
    told[place] = value
    return words(tuple(told))


def test_the_question_is_the_documented_one() -> None:
    assert ask_private_key() == words(ASKED)


def test_the_documented_answer_gives_the_rows() -> None:
    assert private_key(words(ANSWERED)) == words(ROWS)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (b"", "another size"),
        (words(ANSWERED)[:-4], "another size"),
        (words(ANSWERED) + bytes(4), "another size"),
        (changed(0, 0x44), "not an answer"),
        (changed(2, 0x00030021), "not an answer"),
        (changed(3, 36), "not an answer"),
        (changed(15, 1), "not an answer"),
        (words(ASKED), "does not know the device key"),
        (changed(1, 0x80000001), "does not know the device key"),
        (changed(4, 0), "does not know the device key"),
        (changed(4, 0x80000024), "does not know the device key"),
        (changed(5, 1), "other rows"),
        (changed(6, 7), "other rows"),
        (words((*ANSWERED[:7], *(0,) * 9)), "no device key was written"),
    ],
)
def test_anything_else_is_refused(message: bytes, says: str) -> None:
    with pytest.raises(BadMessage, match=says):
        private_key(message)
