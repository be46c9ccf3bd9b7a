import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.drivers.eid.tlv import BadTlv, parse
from device.emulators.eid.fields import tlv

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "eid" / "tlv.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["hex"] or "empty")
def test_a20_a_file_has_one_reading_or_none(vector: dict[str, object]) -> None:
    data = bytes.fromhex(str(vector["hex"]))
    if vector["fields"] is None:
        with pytest.raises(BadTlv):
            parse(data)
    else:
        assert {str(tag): value.hex() for tag, value in parse(data).items()} == vector["fields"]


def test_a_length_of_255_and_more_is_counted_in_ff_bytes() -> None:
    assert parse(b"\x01\xff\x00" + b"a" * 255) == {1: b"a" * 255}
    assert parse(b"\x01\xff\xff\x90" + b"a" * (510 + 0x90)) == {1: b"a" * (510 + 0x90)}


lengths = st.integers(0, 127) | st.integers(255, 700)  # a single byte from 128 to 254 would be ambiguous
values = lengths.flatmap(lambda length: st.binary(min_size=length, max_size=length))
field_lists = st.dictionaries(st.integers(1, 255), values, max_size=8)


@given(field_lists, st.integers(0, 20))
def test_what_the_card_maker_writes_is_read_back_padded_or_not(
    fields: dict[int, bytes], padding: int
) -> None:
    assert parse(tlv(fields.items()) + bytes(padding)) == fields


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        fields = parse(data)
    except BadTlv:
        return
    assert sum(len(value) + 2 for value in fields.values()) <= len(data)
