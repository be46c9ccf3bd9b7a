"""The identity file 4031 and the address file 4033 as words (ID_ADRESSE_File_applet1_8_v5 of 15-11-2023).

Unknown tags are left alone: newer cards have more. A field may be absent, empty or padded with blanks; the
few without which nobody can be told apart must be there.
"""

from collections.abc import Mapping
from typing import Literal
from unicodedata import category

from device.drivers.eid.dates import BadDate, birth_date, validity_date
from device.drivers.eid.numbers import national_number_ok
from device.ports import Address, Identity

CARD_NUMBER, CHIP_NUMBER, VALID_FROM, VALID_TO, MUNICIPALITY, NATIONAL_NUMBER = (
    0x01,
    0x02,
    0x03,
    0x04,
    0x05,
    0x06,
)
SURNAME, FIRST_NAMES, THIRD_INITIAL, NATIONALITY, BIRTH_PLACE, BIRTH_DATE = 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C
SEX, NOBLE, DOCUMENT_TYPE, SPECIAL_STATUS, PHOTO_HASH, DUPLICATE = 0x0D, 0x0E, 0x0F, 0x10, 0x11, 0x12
BASIC_KEY_HASH = 0x1A
STREET, POSTCODE, PLACE = 0x01, 0x02, 0x03

MANDATORY = (
    CARD_NUMBER,
    CHIP_NUMBER,
    VALID_FROM,
    VALID_TO,
    NATIONAL_NUMBER,
    SURNAME,
    BIRTH_DATE,
    SEX,
    PHOTO_HASH,
)
SEXES: dict[str, Literal["M", "F", "X"]] = {
    "M": "M",
    "F": "F",
    "V": "F",
    "W": "F",
    "X": "X",
}  # F fr, V nl, W de
CARD_NUMBER_AT_MOST = 12
CONTROLS = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")  # also what turns the direction of text: no name has them

Reason = Literal["tlv", "encoding", "birth-date"]


class BadContent(ValueError):
    """Well-formed fields that do not say what they must; `reason` is the contract's code."""

    def __init__(self, reason: Reason, what: str) -> None:
        super().__init__(f"{reason}: {what}")
        self.reason = reason


def read_identity(fields: Mapping[int, bytes]) -> Identity:
    """Everything the officer may see, from the parsed fields. BadContent names the first wrong field."""
    for tag in MANDATORY:
        if tag not in fields:
            raise BadContent("tlv", f"field {tag:02X} is missing")
    number = _ascii(fields, NATIONAL_NUMBER)
    if not national_number_ok(number):
        raise BadContent("encoding", "check digits of the national number")
    sex = SEXES.get(_ascii(fields, SEX))
    if sex is None:
        raise BadContent("encoding", "sex")
    try:
        born = birth_date(_text(fields, BIRTH_DATE))
    except BadDate as error:
        raise BadContent("birth-date", str(error)) from error
    try:
        valid_from, valid_to = (validity_date(_ascii(fields, tag)) for tag in (VALID_FROM, VALID_TO))
    except BadDate as error:
        raise BadContent("encoding", f"validity: {error}") from error
    return Identity(
        national_number=number,
        surname=_text(fields, SURNAME),
        first_names=_text(fields, FIRST_NAMES),
        third_initial=_text(fields, THIRD_INITIAL),
        nationality=_text(fields, NATIONALITY),
        birth_place=_text(fields, BIRTH_PLACE),
        birth_date=born,
        sex=sex,
        noble_condition=_text(fields, NOBLE),
        document_type=_number(fields, DOCUMENT_TYPE),
        special_status=_number(fields, SPECIAL_STATUS),
        valid_from=valid_from,
        valid_to=valid_to,
        delivery_municipality=_text(fields, MUNICIPALITY),
        duplicate=_ascii(fields, DUPLICATE),
    )


def read_address(fields: Mapping[int, bytes]) -> Address:
    """Street with number, postcode, municipality; empty where the card has none."""
    return Address(
        street=_text(fields, STREET), postcode=_ascii(fields, POSTCODE), municipality=_text(fields, PLACE)
    )


def read_card_number(fields: Mapping[int, bytes]) -> str:
    """Twelve digits; foreigners' cards have nine, or B and nine."""
    number = _ascii(fields, CARD_NUMBER)
    if not number.isalnum() or len(number) > CARD_NUMBER_AT_MOST:
        raise BadContent("encoding", "card number")
    return number


def _text(fields: Mapping[int, bytes], tag: int) -> str:
    try:
        text = fields.get(tag, b"").decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadContent("encoding", f"field {tag:02X} is not UTF-8") from error
    if any(category(character) in CONTROLS for character in text):
        raise BadContent("encoding", f"field {tag:02X} holds control characters")
    return text.strip(" ")


def _ascii(fields: Mapping[int, bytes], tag: int) -> str:
    text = _text(fields, tag)
    if not text.isascii():
        raise BadContent("encoding", f"field {tag:02X} is not ASCII")
    return text


def _number(fields: Mapping[int, bytes], tag: int) -> int:
    """One or two digits; 0 when the field is absent. Values nobody knows yet are kept as they are."""
    text = _ascii(fields, tag) or "0"
    if len(text) > 2 or not text.isdigit():
        raise BadContent("encoding", f"field {tag:02X} is not a number")
    return int(text)
