"""The identity and address files of a made card, byte by byte (ID_ADRESSE_File_applet1_8_v5)."""

from collections.abc import Iterable
from datetime import date
from zlib import crc32

from device.emulators.eid.spec import Home, Language, Person

JANUARY_TO_DECEMBER = {
    "nl": ("JAN", "FEB", "MAAR", "APR", "MEI", "JUN", "JUL", "AUG", "SEP", "OKT", "NOV", "DEC"),
    "fr": ("JAN", "FEV", "MARS", "AVR", "MAI", "JUIN", "JUIL", "AOUT", "SEPT", "OCT", "NOV", "DEC"),
    "de": ("JAN", "FEB", "MÄR", "APR", "MAI", "JUN", "JUL", "AUG", "SEP", "OKT", "NOV", "DEZ"),
}
WOMAN = {"nl": "V", "fr": "F", "de": "W"}
ADDRESS_LENGTH = 121  # the file is padded with zeros
NOBODY = "7151"  # month 71, day 51: no living person has such a number


def tlv(fields: Iterable[tuple[int, bytes]]) -> bytes:
    """Tag, length, value; lengths from 255 on with FF bytes."""
    out = bytearray()
    for tag, value in fields:
        long, rest = divmod(len(value), 255)
        out += bytes((tag,)) + b"\xff" * long + bytes((rest,)) + value
    return bytes(out)


def birth_text(born: date | int | str, language: Language) -> str:
    """Tag 0C as the card of that language has it."""
    if isinstance(born, str):
        return born
    if isinstance(born, int):
        return str(born)
    month = JANUARY_TO_DECEMBER[language][born.month - 1]
    return f"{born:%d}.{month}.{born.year}" if language == "de" else f"{born:%d} {month} {born.year}"


def number_of_nobody(person: Person) -> str:
    """A national number with right check digits and an impossible month, the same for the same person."""
    born = person.birth_date
    year = born if isinstance(born, int) else born.year if isinstance(born, date) else 1971
    serial = crc32(f"{person.surname}|{person.first_names}".encode()) % 498 * 2 + (
        1 if person.sex == "M" else 2
    )
    body = f"{year % 100:02}{NOBODY}{serial:03}"
    return body + f"{97 - int(('2' if year >= 2000 else '') + body) % 97:02}"


def identity_fields(
    person: Person, language: Language, chip_number: bytes, photo_hash: bytes, basic_key_hash: bytes
) -> list[tuple[int, bytes]]:
    """In the card's order; the hash of the basic key only where there is one (applet 1.8)."""
    fields: list[tuple[int, str | bytes]] = [
        (0x01, person.card_number),
        (0x02, chip_number),
        (0x03, f"{person.valid_from:%d.%m.%Y}"),
        (0x04, f"{person.valid_to:%d.%m.%Y}"),
        (0x05, person.delivery_municipality),
        (0x06, person.national_number or number_of_nobody(person)),
        (0x07, person.surname),
        (0x08, person.first_names),
        (0x09, person.third_initial),
        (0x0A, person.nationality or ("BEL" if basic_key_hash else "Belg")),
        (0x0B, person.birth_place),
        (0x0C, birth_text(person.birth_date, language)),
        (0x0D, "M" if person.sex == "M" else WOMAN[language]),
        (0x0E, person.noble_condition),
        (0x0F, person.document_type),
        (0x10, person.special_status),
        (0x11, photo_hash),
        (0x12, person.duplicate),
    ]
    if basic_key_hash:
        fields.append((0x1A, basic_key_hash))
    fields += ((int(tag, 16), value) for tag, value in sorted(person.more.items()))
    return [(tag, value.encode() if isinstance(value, str) else value) for tag, value in fields]


def address_file(home: Home) -> bytes:
    data = tlv(
        [(0x01, home.street.encode()), (0x02, home.postcode.encode()), (0x03, home.municipality.encode())]
    )
    return data.ljust(ADDRESS_LENGTH, b"\0")
