import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import is_sha256, is_ulid, new_ulid


@given(st.integers(0, 2**48 - 1))
def test_a_ulid_carries_its_millisecond_and_is_one(clock_ms):
    made = new_ulid(clock_ms)
    assert is_ulid(made)
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    assert sum(alphabet.index(c) << 5 * (9 - at) for at, c in enumerate(made[:10])) == clock_ms


def test_ulids_differ_and_sort_by_their_millisecond():
    assert new_ulid() != new_ulid()
    assert new_ulid(1) < new_ulid(2) < new_ulid(2**48 - 1)


@pytest.mark.parametrize("clock_ms", [-1, 2**48])
def test_a_time_beyond_48_bits_is_refused(clock_ms):
    with pytest.raises(ValueError):
        new_ulid(clock_ms)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "01ARZ3NDEKTSV4RRFFQ69G5FA",
        "01ARZ3NDEKTSV4RRFFQ69G5FAVV",
        "81ARZ3NDEKTSV4RRFFQ69G5FAV",
        "01arz3ndektsv4rrffq69g5fav",
        "01ARZ3NDEKTSV4RRFFQ69G5FAI",
        "01ARZ3NDEKTSV4RRFFQ69G5FAU",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV\n",
        "../RZ3NDEKTSV4RRFFQ69G5FAV",
        "٠1ARZ3NDEKTSV4RRFFQ69G5FAV",
    ],
)
def test_another_spelling_is_no_ulid(text):
    assert not is_ulid(text)


def test_a_digest_is_64_lower_case_hex_digits():
    assert is_sha256("0a" * 32)
    assert not any(map(is_sha256, ["0A" * 32, "0a" * 31, "0a" * 32 + "\n", "zz" * 32]))
