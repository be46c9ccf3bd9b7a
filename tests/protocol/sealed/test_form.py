"""Text with values that are filled in later: what is around them stays as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.sealed.form import Form, value_of

TEXT = b'{"a":"12","b":"x\\"a\\":\\"","c":["a","3"],"d":"45"}'
PLACES = (value_of("a", TEXT), value_of("d", TEXT))


def test_a_value_is_found_by_its_member_and_not_within_a_string():
    assert [TEXT[place] for place in PLACES] == [b"12", b"45"]
    hidden = b'{"b":"\\"a\\":\\"1\\"","a":"2"}'
    assert hidden[value_of("a", hidden)] == b"2"
    assert TEXT[value_of("d", TEXT, PLACES[0].stop)] == b"45"
    with pytest.raises(ValueError):
        value_of("a", TEXT, PLACES[0].stop)


@given(st.binary(min_size=2, max_size=2), st.binary(min_size=2, max_size=2))
def test_whatever_is_filled_in_it_is_the_same_form(first, second):
    form = Form(TEXT, PLACES)
    form.text[form.places[0]] = first
    form.text[form.places[1]] = second
    assert form.is_around(bytes(form.text))
    assert form.text[PLACES[0]] == first


def test_any_byte_around_the_values_and_any_other_length_makes_it_another():
    form = Form(TEXT, PLACES)
    values = {at for place in PLACES for at in range(place.start, place.stop)}
    for at in range(len(TEXT)):
        other = bytearray(TEXT)
        other[at] ^= 1
        assert form.is_around(bytes(other)) is (at in values)
    for other in (TEXT[:-1], TEXT + b"}", b"", TEXT[: PLACES[1].stop] + b"6" + TEXT[PLACES[1].stop :]):
        assert not form.is_around(other)
