import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.sealed.ageheader import (
    END,
    LONGEST,
    MOST_STANZAS,
    VERSION,
    BadAge,
    Stanza,
    decode64,
    encode64,
    read_header,
    write_stanzas,
)

WORDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)
STANZAS = st.builds(Stanza, WORDS, st.lists(WORDS, max_size=3).map(tuple), st.binary(max_size=200))
MAC = b" " + b"A" * 43 + b"\n"


@given(st.lists(STANZAS, min_size=1, max_size=4), st.binary(max_size=20))
def test_a_header_is_read_as_it_was_written_whatever_follows(stanzas, rest):
    covered = VERSION + write_stanzas(stanzas) + END
    header = read_header(covered + MAC + rest)
    assert header.stanzas == tuple(stanzas)
    assert header.covered == covered
    assert header.size == len(covered + MAC)
    assert header.mac == bytes(32)


@given(st.binary(max_size=300))
def test_noise_is_refused_with_a_code(noise):
    for data in (noise, b"age-encryption.org/v1\n" + noise, b"age-encryption.org/v1\n-> x\n" + noise):
        with pytest.raises(BadAge) as refusal:
            read_header(data)
        assert refusal.value.code in {"age-header", "truncated"}


def test_the_literal_spelling():
    stanzas = [Stanza("x", ("y",), b""), Stanza("z", (), bytes(48))]
    assert (VERSION, END) == (b"age-encryption.org/v1\n", b"---")
    assert write_stanzas(stanzas) == b"-> x y\n\n-> z\n" + b"A" * 64 + b"\n\n"


@pytest.mark.parametrize(
    "data",
    [
        b"age-encryption.org/v2\n-> x\n\n---" + MAC,
        b"age-encryption.org/v1\r\n-> x\n\n---" + MAC,
        VERSION + b"---" + MAC,
        VERSION + b"-> \n\n---" + MAC,
        VERSION + b"->x\n\n---" + MAC,
        VERSION + b"-> x  y\n\n---" + MAC,
        VERSION + b"-> x\r\n\n---" + MAC,
        VERSION + b"-> x y \n\n---" + MAC,
        VERSION + "-> é\n\n---".encode() + MAC,
        VERSION + b"-> x\nAA==\n---" + MAC,
        VERSION + b"-> x\nAB\n---" + MAC,
        VERSION + b"-> x\nA\n---" + MAC,
        VERSION + b"-> x\n\xff\xff\n---" + MAC,
        VERSION + b"-> x\n" + b"A" * 65 + b"\n---" + MAC,
        VERSION + b"-> x\n" + b"A" * 64 + b"\n---" + MAC,
        VERSION + b"-> x\n\nremark\n---" + MAC,
        VERSION + b"-> x\n\n---" + b"A" * 43 + b"\n",
        VERSION + b"-> x\n\n--- " + b"A" * 42 + b"\n",
        VERSION + b"-> x\n\n--- " + b"A" * 43 + b"=\n",
        VERSION + b"-> x\n\n--- " + b"A" * 42 + b"B\n",
        VERSION + b"-> x\n\n" * (MOST_STANZAS + 1) + b"---" + MAC,
        VERSION + b"-> " + b"x" * LONGEST,
        b"x" * LONGEST,
    ],
    ids=lambda data: repr(data[:50]),
)
def test_a_header_of_another_shape_is_refused(data):
    with pytest.raises(BadAge) as refusal:
        read_header(data)
    assert refusal.value.code == "age-header"


@pytest.mark.parametrize("data", [b"", b"age", VERSION, VERSION + b"-> x\n", VERSION + b"-> x\n\n---"])
def test_a_header_that_ends_too_soon_is_truncated(data):
    with pytest.raises(BadAge) as refusal:
        read_header(data)
    assert refusal.value.code == "truncated"


@pytest.mark.parametrize(
    "stanzas", [[Stanza("", (), b"")], [Stanza("a b", (), b"")], [Stanza("x", ("é",), b"")]]
)
def test_an_impossible_stanza_is_not_written(stanzas):
    with pytest.raises(ValueError):
        write_stanzas(stanzas)


@given(st.binary(max_size=100))
def test_base64_has_one_spelling(data):
    assert decode64(encode64(data)) == data
    with pytest.raises(ValueError):
        decode64(encode64(data) + "=")
