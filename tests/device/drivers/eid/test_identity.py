from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.drivers.eid.identity import BadContent, read_address, read_card_number, read_identity
from device.emulators.eid.fields import identity_fields
from device.emulators.eid.spec import Person

PHOTO_HASH = bytes(48)


def fields(**changes: object) -> dict[int, bytes]:
    person = Person(**changes)  # type: ignore[arg-type]
    return dict(identity_fields(person, "nl", bytes(16), PHOTO_HASH, bytes(48)))


def test_all_fields_become_words() -> None:
    identity = read_identity(fields(third_initial="", noble_condition="Jonkheer", duplicate="01"))
    assert (identity.surname, identity.third_initial, identity.noble_condition) == (
        "Specimen",
        "",
        "Jonkheer",
    )
    assert (identity.birth_date, identity.duplicate) == (date(1971, 1, 1), "01")


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (0x05, "delivery_municipality"),
        (0x08, "first_names"),
        (0x09, "third_initial"),
        (0x0A, "nationality"),
        (0x0B, "birth_place"),
        (0x0E, "noble_condition"),
        (0x0F, "document_type"),
        (0x10, "special_status"),
        (0x12, "duplicate"),
    ],
)
def test_a_field_that_is_not_there_is_empty(tag: int, name: str) -> None:
    whole = fields(third_initial="J", noble_condition="Jonkheer", special_status="1", duplicate="01")
    without = {each: value for each, value in whole.items() if each != tag}
    identity = read_identity(whole)
    assert getattr(identity, name)
    assert read_identity(without) == replace(identity, **{name: type(getattr(identity, name))()})


@pytest.mark.parametrize("tag", [0x01, 0x02, 0x03, 0x04, 0x06, 0x07, 0x0C, 0x0D, 0x11])
def test_without_who_and_until_when_it_is_no_identity(tag: int) -> None:
    without = fields()
    del without[tag]
    with pytest.raises(BadContent) as caught:
        read_identity(without)
    assert caught.value.reason == "tlv"


def test_unknown_fields_and_unknown_kinds_of_card_do_no_harm() -> None:
    identity = read_identity({**fields(document_type="99", special_status="9"), 0x7E: b"\xff\xfe"})
    assert (identity.document_type, identity.special_status) == (99, 9)


@pytest.mark.parametrize(("letter", "sex"), [("M", "M"), ("F", "F"), ("V", "F"), ("W", "F"), ("X", "X")])
def test_the_sex_is_the_same_in_every_language(letter: str, sex: str) -> None:
    assert read_identity({**fields(), 0x0D: letter.encode()}).sex == sex


@pytest.mark.parametrize(
    ("tag", "value", "reason"),
    [
        (0x07, b"\xc3\x28", "encoding"),
        (0x07, b"two\nlines", "encoding"),
        (0x07, "\u202etxt.exe".encode(), "encoding"),
        (0x08, b"nul\0", "encoding"),
        (0x06, b"71715100071", "encoding"),
        (0x06, "٧١٧١٥١٠٠٠٧٠".encode(), "encoding"),
        (0x0D, b"Q", "encoding"),
        (0x0D, b"", "encoding"),
        (0x0F, b"abc", "encoding"),
        (0x0F, b"100", "encoding"),
        (0x03, b"2022-07-05", "encoding"),
        (0x0C, b"20 JUNO 1964", "birth-date"),
        (0x0C, b"", "birth-date"),
    ],
)
def test_a_field_that_says_nonsense_names_the_reason(tag: int, value: bytes, reason: str) -> None:
    with pytest.raises(BadContent) as caught:
        read_identity({**fields(), tag: value})
    assert caught.value.reason == reason


@pytest.mark.parametrize("number", ["000001234526", "B12345678", "123456789"])
def test_citizens_and_foreigners_have_card_numbers_of_their_own_length(number: str) -> None:
    assert read_card_number({0x01: number.encode()}) == number


@pytest.mark.parametrize("number", ["", "0000012345260", "0000-1234526"])
def test_other_card_numbers_are_refused(number: str) -> None:
    with pytest.raises(BadContent):
        read_card_number({0x01: number.encode()})


def test_an_address_padded_with_blanks_is_trimmed_and_may_be_empty() -> None:
    address = read_address({1: b"Teststraat 12" + b" " * 29, 2: b"8020", 3: b"Oostkamp"})
    assert (address.street, address.postcode) == ("Teststraat 12", "8020")
    assert read_address({}).municipality == ""


@given(st.dictionaries(st.integers(0, 0x20), st.binary(max_size=40)))
def test_any_fields_are_an_identity_or_refused(changes: dict[int, bytes]) -> None:
    for data in (changes, {**fields(), **changes}):
        try:
            read_identity(data)
            read_address(data)
            read_card_number(data)
        except BadContent:
            pass
