"""DER as a CMS file has it: a length in one spelling, and nothing read that is not there."""

import pytest

from protocol.sealed.der import BadDer, Reader

OCTETS = 0x04


@pytest.mark.parametrize("size", [0, 1, 127])
def test_a_short_value_has_a_length_of_one_byte(size: int) -> None:
    assert bytes(Reader(memoryview(bytes([OCTETS, size]) + b"x" * size)).take(OCTETS)) == b"x" * size


@pytest.mark.parametrize(
    ("size", "length"), [(128, "8180"), (255, "81ff"), (256, "820100"), (70_000, "83011170")]
)
def test_a_long_value_has_a_length_of_several(size: int, length: str) -> None:
    data = memoryview(bytes([OCTETS]) + bytes.fromhex(length) + b"x" * size + b"rest")
    reader = Reader(data)
    assert len(reader.take(OCTETS)) == size
    with pytest.raises(BadDer):
        reader.take(OCTETS)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x04",
        b"\x30\x00",
        b"\x04\x02x",
        b"\x04\x80" + b"x" * 200,  # a length that is told at the end: BER, not DER
        b"\x04\x85\x00\x00\x00\x00\x01x",
        b"\x04\x82\x01",
    ],
)
def test_what_is_no_such_value_is_refused(data: bytes) -> None:
    with pytest.raises(BadDer):
        Reader(memoryview(data)).take(OCTETS)
