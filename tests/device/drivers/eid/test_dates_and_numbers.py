import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.be import bis, nn

from device.drivers.eid.dates import BadDate, birth_date, validity_date
from device.drivers.eid.numbers import national_number_ok
from device.emulators.eid.fields import birth_text, number_of_nobody
from device.emulators.eid.spec import Person

VECTORS = Path(__file__).parents[3] / "vectors" / "eid"


@pytest.mark.parametrize(("text", "expected"), json.loads((VECTORS / "dates.json").read_text()))
def test_a20_a_birth_date_is_understood_exactly_or_refused(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(BadDate):
            birth_date(text)
    else:
        born = birth_date(text)
        assert (born.isoformat() if isinstance(born, date) else str(born)) == expected


@given(st.dates(date(1850, 1, 1), date(2150, 1, 1)), st.sampled_from(["nl", "fr", "de"]))
def test_every_day_in_every_language_is_read_back(born: date, language: str) -> None:
    assert birth_date(birth_text(born, language)) == born  # type: ignore[arg-type]


@given(st.text(max_size=16))
def test_any_text_is_a_date_or_refused(text: str) -> None:
    try:
        birth_date(text)
        validity_date(text)
    except BadDate:
        pass


@pytest.mark.parametrize(
    "text", ["", "5.7.2022", "31.02.2022", "05-07-2022", "05.07.22", "2022-07-05", "00.00.0000"]
)
def test_a_validity_date_has_one_form(text: str) -> None:
    assert validity_date("05.07.2022") == date(2022, 7, 5)
    with pytest.raises(BadDate):
        validity_date(text)


@pytest.mark.parametrize(("number", "fine"), json.loads((VECTORS / "numbers.json").read_text()))
def test_a20_the_check_digits_decide(number: str, fine: bool) -> None:
    assert national_number_ok(number) is fine


@given(st.integers(0, 10**11 - 1).map(lambda number: f"{number:011}"))
def test_every_number_python_stdnum_accepts_is_accepted(number: str) -> None:
    if nn.is_valid(number) or bis.is_valid(number):
        assert national_number_ok(number)


@given(st.dates(date(1926, 1, 1), date(2026, 1, 1)), st.integers(1, 997), st.sampled_from([0, 20, 40]))
def test_every_number_of_a_real_day_is_accepted_as_python_stdnum_does(
    born: date, serial: int, more: int
) -> None:
    body = f"{born.year % 100:02}{born.month + more:02}{born.day:02}{serial:03}"
    number = body + f"{97 - int(('2' if born.year >= 2000 else '') + body) % 97:02}"
    assert national_number_ok(number)
    assert (bis if more else nn).is_valid(number)


@given(st.integers(1900, 2025), st.sampled_from(["M", "F"]), st.text(max_size=5))
def test_made_up_people_have_good_check_digits_and_no_real_birthday(year: int, sex: str, name: str) -> None:
    number = number_of_nobody(Person(birth_date=year, sex=sex, surname=name))  # type: ignore[arg-type]
    assert national_number_ok(number)
    assert not nn.is_valid(number)
    assert (int(number[6:9]) % 2 == 1) is (sex == "M")
