"""A filled-in form: every field read as people write it, or named with what is wrong."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.fleet import drafts
from server.fleet.refused import Invalid
from tests.server.town import FORM

TODAY = date(2026, 11, 23)


def wrong(**changes: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        drafts.read(FORM | changes, TODAY)
    return caught.value.errors


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("name", "  Jan   Jansen ", "Jan Jansen"),
        ("birth_date", "27/03/1941", "1941-03-27"),
        ("birth_date", "7.3.1941", "1941-03-07"),
        ("birth_date", "27 03 1941", "1941-03-27"),
        ("birth_date", "1941-03-27", "1941-03-27"),
        ("national_number", "85.07.30-033.28", "85073003328"),
        ("national_number", "", ""),
        ("phone", "+32 50 12.34.56", "+3250123456"),
        ("note", "", ""),
        ("street", "Rue de l’Été 3", "Rue de l’Été 3"),
    ],
)
def test_a_field_is_read_as_people_write_it(field: str, given: str, kept: str) -> None:
    assert getattr(drafts.read(FORM | {field: given}, TODAY).person, field) == kept


@pytest.mark.parametrize(
    ("field", "given", "code"),
    [
        ("name", "", "missing"),
        ("name", "x", "length"),
        ("name", "x" * 121, "length"),
        ("name", "Jan\x07Jansen", "malformed"),
        ("name", "Jan\u202enesnaJ", "malformed"),
        ("name", 5, "malformed"),
        ("name", None, "malformed"),
        ("name", "x" * 1001, "malformed"),
        ("birth_date", "", "missing"),
        ("birth_date", "31/02/1941", "date"),
        ("birth_date", "gisteren", "date"),
        ("birth_date", "27/03/41", "date"),
        ("birth_date", "24/11/2026", "date"),
        ("birth_date", "01/01/1850", "date"),
        ("national_number", "85.07.30-033.29", "national-number"),
        ("national_number", "123", "national-number"),
        ("national_number", "8507300332x", "national-number"),
        ("phone", "bel mij", "phone"),
        ("phone", "1234567", "phone"),
        ("street", "", "missing"),
        ("postcode", "", "missing"),
        ("postcode", "0800", "postcode"),
        ("postcode", "B-8000", "postcode"),
        ("postcode", "٨٠٠٠", "postcode"),
        ("municipality", "", "missing"),
        ("note", "x" * 301, "length"),
        ("language", "", "choose"),
        ("language", "es", "malformed"),
        ("evidence", "", "choose"),
        ("evidence", "vriendendienst", "malformed"),
        ("requester", "", "choose"),
        ("half_days", "mon-am", "malformed"),
        ("half_days", ["sun-am"], "malformed"),
        ("half_days", [5], "malformed"),
        ("service_id", "be.other", "malformed"),
        ("requester_name", "", "missing"),
        ("requester_contact", "x", "length"),
        ("is_admin", "1", "unknown-field"),
    ],
)
def test_a_field_that_does_not_fit_is_named(field: str, given: object, code: str) -> None:
    assert wrong(**{field: given}) == {field: code}


def test_all_that_is_wrong_is_named_at_once() -> None:
    assert wrong(name="", postcode="x", evidence="") == {
        "name": "missing",
        "postcode": "postcode",
        "evidence": "choose",
    }


def test_who_asks_for_herself_gives_a_telephone_number_and_no_helper() -> None:
    draft = drafts.read(FORM | {"requester": "self"}, TODAY)
    assert (draft.person.requester_name, draft.person.requester_contact) == ("", "")
    assert wrong(requester="self", phone="") == {"phone": "missing"}


def test_a_number_of_somebody_not_in_the_register_is_good_too() -> None:
    """A BIS number: the month is raised by 40."""
    first = "854730033"
    number = f"{first}{97 - int(first) % 97:02d}"
    assert drafts.read(FORM | {"national_number": number}, TODAY).person.national_number == number


def test_half_days_are_kept_in_the_order_of_the_week() -> None:
    draft = drafts.read(FORM | {"half_days": ["fri-pm", "mon-am", "mon-am"]}, TODAY)
    assert draft.half_days == ("mon-am", "fri-pm")


def test_a_person_is_not_printed() -> None:
    assert "Kanari" not in repr(drafts.read(FORM, TODAY))


@given(
    st.dictionaries(
        st.sampled_from(drafts.FIELDS), st.one_of(st.text(max_size=200), st.integers(), st.none())
    )
)
def test_whatever_is_sent_is_a_draft_or_names_its_fields(given: dict[str, object]) -> None:
    try:
        drafts.read(FORM | given, TODAY)
        errors = {}
    except Invalid as problem:
        errors = problem.errors
    assert set(errors) <= set(given) | {"phone", "requester_name", "requester_contact"}
