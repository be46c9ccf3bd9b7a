"""DER lengths, JPEG headers, answers to reset."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.drivers.eid.atr import is_belgian_eid
from device.drivers.eid.der import BadDer, cut, total_length
from device.drivers.eid.jpeg import BadJpeg, size
from device.emulators.eid.picture import drawn


@pytest.mark.parametrize(
    ("head", "length"),
    [
        ("", None),
        ("30", None),
        ("3005", 7),
        ("3080", BadDer),
        ("3081", None),
        ("3081C8", 203),
        ("308202", None),
        ("30820258", 604),
        ("3083010000", BadDer),
        ("3105", BadDer),
        ("00", BadDer),
    ],
)
def test_a_sequence_tells_its_length(head: str, length: int | type[BadDer] | None) -> None:
    if length is BadDer:
        with pytest.raises(BadDer):
            total_length(bytes.fromhex(head))
    else:
        assert total_length(bytes.fromhex(head)) == length


def test_only_zeros_are_cut_off() -> None:
    assert cut(bytes.fromhex("3003020105") + bytes(50)) == bytes.fromhex("3003020105")
    for bad in ("3003020105FF", "30030201", "", "00000000"):
        with pytest.raises(BadDer):
            cut(bytes.fromhex(bad))


@pytest.mark.parametrize(("width", "height"), [(140, 200), (150, 195)])
def test_the_size_of_a_jpeg_is_read_past_comments(width: int, height: int) -> None:
    assert size(drawn(width, height, 4000)) == (width, height)


@pytest.mark.parametrize(
    "bad", [b"", b"\xff\xd8", b"\xff\xd8\xff\xda\x00\x02", b"GIF89a", b"\xff\xd8\x00\x00" * 9]
)
def test_what_has_no_frame_is_no_jpeg(bad: bytes) -> None:
    with pytest.raises(BadJpeg):
        size(bad)


@given(st.binary(max_size=200))
def test_any_bytes_have_a_sensible_size_or_none(data: bytes) -> None:
    try:
        width, height = size(b"\xff\xd8" + data)
    except BadJpeg:
        return
    assert 0 < width <= 2000
    assert 0 < height <= 2000


@pytest.mark.parametrize(
    ("atr", "eid"),
    [
        ("3B7F96000080318065B085040120120FFF829000", True),
        ("3B9813400AA503010101AD1311", True),
        ("3B9894400AA503010101AD1310", True),
        ("3B989440FFA503010101AD1310", True),
        ("3B6800000073C84013009000", False),
        ("3B9813400AA503010101AD13", False),
        ("3B7F96000080318065B085040120120FFF829001", False),
        ("", False),
    ],
)
def test_an_eid_is_known_by_its_answer_to_reset(atr: str, eid: bool) -> None:
    assert is_belgian_eid(bytes.fromhex(atr)) is eid
