import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.canonical import BIGGEST, NotCanonical, dumps, loads

KEYS = st.text(st.characters(max_codepoint=127), max_size=8)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.booleans() | st.integers(-BIGGEST, BIGGEST) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read_back_and_has_one_spelling(value):
    data = dumps(value)
    assert loads(data) == value
    assert dumps(loads(data)) == data


@given(VALUES)
def test_any_other_spelling_of_the_same_value_is_refused(value):
    for other in (
        json.dumps(value, indent=1),
        json.dumps(value),
        json.dumps(value, ensure_ascii=False) + " ",
    ):
        if other.encode("utf-8", "surrogatepass") != dumps(value):
            with pytest.raises(NotCanonical):
                loads(other.encode("utf-8", "surrogatepass"))


def test_the_literal_spelling():
    value = {"b": [1, -2, True, "é\n\u001f\u2028"], "a": {"Z": "", "z": 9007199254740991}}
    assert dumps(value) == (
        b'{"a":{"Z":"","z":9007199254740991},"b":[1,-2,true,"\xc3\xa9\\n\\u001f\xe2\x80\xa8"]}'
    )


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        None,
        {"é": 1},
        {1: 1},
        2**53,
        -(2**53),
        b"",
        {"a": [None]},
        "\ud800",
        {"a": object()},
        float("nan"),
    ],
)
def test_a_value_without_a_canonical_form_is_refused(value):
    with pytest.raises(NotCanonical):
        dumps(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"null",
        b"1.0",
        b"1e2",
        b"-0",
        b"01",
        b"NaN",
        b"\xff",
        b'\xef\xbb\xbf"a"',
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"b":1,"a":1}',
        b'"\\u0041"',
        b'"\\/"',
        b'"\\ud800"',
        b"[1, 2]",
        b"1\n",
        b"9007199254740992",
        b"9" * 5000,
        b"[" * 100_000,
        b"[" * 17 + b"]" * 17,
    ],
    ids=lambda data: repr(data[:20]),
)
def test_bytes_that_are_not_the_canonical_form_are_refused(data):
    with pytest.raises(NotCanonical):
        loads(data)


def test_more_bytes_than_the_limit_are_not_even_parsed():
    assert loads(b'"aa"', limit=4) == "aa"
    with pytest.raises(NotCanonical, match="longer"):
        loads(b'"aaa"', limit=4)
