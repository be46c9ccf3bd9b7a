"""Dates as written on the card: validity as 05.07.2022, birth in words of the card's language or a year only.

Forms seen: "01 JAN 1971", "1 JAN 1971", "26 AVR  1975", "07.DEZ.1984", "23.SEP. 1982", "1984", and a year
behind eight blanks (card content v5.4 and public specimens).
"""

import re
from datetime import date
from unicodedata import normalize

MONTHS = {
    "nl": "JAN FEB MAAR APR MEI JUN JUL AUG SEP OKT NOV DEC",
    "fr": "JAN FEV MARS AVR MAI JUIN JUIL AOUT SEPT OCT NOV DEC",
    "de": "JAN FEB MÄR APR MAI JUN JUL AUG SEP OKT NOV DEZ",
}
NUMBER = {name: number for names in MONTHS.values() for number, name in enumerate(names.split(), 1)}
BIRTH = re.compile(r"([0-9]{1,2})[ .]+([^\W\d_]+)[ .]+([0-9]{4})")
YEAR = re.compile(r"[0-9]{4}")
VALIDITY = re.compile(r"([0-9]{2})\.([0-9]{2})\.([0-9]{4})")
OLDEST = 1850  # nobody alive is older, and a card does not name anybody dead for a century


class BadDate(ValueError):
    """Not a date in any form the card knows, or a day that does not exist."""


def birth_date(text: str) -> date | int:
    """Tag 0C as a date, or the bare year where the card has no more."""
    text = normalize("NFC", text).strip(" ")
    if YEAR.fullmatch(text):
        return _year(text)
    match = BIRTH.fullmatch(text)
    if not match:
        raise BadDate("no birth date")
    day, month, year = match.groups()
    number = NUMBER.get(month.upper())
    if number is None:
        raise BadDate("no such month")
    return _day(_year(year), number, int(day))


def validity_date(text: str) -> date:
    """Tags 03 and 04: DD.MM.YYYY."""
    match = VALIDITY.fullmatch(text.strip(" "))
    if not match:
        raise BadDate("not DD.MM.YYYY")
    day, month, year = match.groups()
    return _day(int(year), int(month), int(day))


def _year(text: str) -> int:
    if int(text) < OLDEST:
        raise BadDate("no year of a living person")
    return int(text)


def _day(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError as error:
        raise BadDate("no such day") from error
