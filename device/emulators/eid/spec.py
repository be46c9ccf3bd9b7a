"""What a card to be made shall be: a small TOML file, everything in it optional.

generation = "1.8"            # 1.8, 1.7-rsa, 1.7-ec (re-keyed), 1.1 (RSA-1024 and SHA-1)
language = "nl"               # of the month and the letter for the sex: nl, fr, de
defects = ["photo-hash"]      # of DEFECTS
pin = "1234"                  # 4 to 12 digits
tries = 3                     # left
holder_key = "rsa"            # of the authentication certificate: rsa or ec; empty: as the generation has it
[identity]                    # surname, first_names, birth_date = 1971-01-01, or 1962, or any text, ...
[identity.more]               # further fields by tag: 1F = "05.07.2022" (foreigners' and EU cards)
[address]                     # street, postcode, municipality
[photo]                       # path, or width and height of a drawn one, and its length in bytes
"""

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

Generation = Literal["1.8", "1.7-rsa", "1.7-ec", "1.1"]
Language = Literal["nl", "fr", "de"]
Defect = Literal[
    "identity-tampered",  # one letter of the name changed after signing
    "address-tampered",
    "identity-signature",  # one bit of the signature
    "truncated-file",  # the identity file ends early
    "truncated-tlv",  # signed so
    "unknown-month",  # signed so
    "bad-encoding",  # signed so: a name that is not UTF-8
    "national-number",  # signed so: wrong check digits
    "photo-hash",
    "photo-missing",
    "photo-format",  # not a JPEG, with the right hash
    "chip-number",  # signed for another chip
    "basic-key-hash",  # signed for another basic key
    "clone",  # all files, but not the basic key
    "other-holder",  # the authentication certificate of somebody else
    "foreign-certificate",  # the authentication certificate under a CA nobody knows
    "rrn-garbage",
    "rrn-expired",
    "rrn-usage",  # may not sign data
    "rrn-issued-by-citizen-ca",
    "self-made-root",  # all names right, root unknown
    "no-certificates",  # as a Kids-ID
    "expired",  # the card, not its certificates
]


MORE = re.compile(r"1[3-9BCDEF]")  # tags of the optional fields; 1A is the hash of the basic key


class BadSpec(ValueError):
    """The file is not of the form above; the text says where."""


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    surname: str = "Specimen"
    first_names: str = "Alice Testkaart"
    third_initial: str = "A"
    nationality: str = ""  # empty: as the generation has it
    birth_place: str = "Brugge"
    birth_date: Any = date(1971, 1, 1)  # a date, a year, or any text: msgspec cannot say "date or text"
    sex: Literal["M", "F"] = "F"
    national_number: str = ""  # empty: one of nobody, with an impossible month
    card_number: str = "000001234526"
    valid_from: date = date(2022, 7, 5)
    valid_to: date = date(2032, 7, 5)
    delivery_municipality: str = "Oostkamp"
    noble_condition: str = ""
    document_type: str = "1"
    special_status: str = "0"
    duplicate: str = "00"
    more: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.birth_date, date | int | str) or isinstance(self.birth_date, bool):
            raise ValueError("birth_date: a date, a year, or a text")
        if not all(MORE.fullmatch(tag) for tag in self.more):
            raise ValueError("more: tags as 13 to 1F, but 1A")

    def __hash__(self) -> int:
        return hash(msgspec.json.encode(self))


class Home(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    street: str = "Teststraat 12 bus 3"
    postcode: str = "8020"
    municipality: str = "Oostkamp"


class Picture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str = ""  # of a JPEG, relative to the specification
    width: Annotated[int, msgspec.Meta(ge=16, le=600)] = 140
    height: Annotated[int, msgspec.Meta(ge=16, le=800)] = 200
    length: Annotated[int, msgspec.Meta(ge=0, le=32_000)] = 0  # bytes to fill up to; 0: as it comes


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    generation: Generation = "1.8"
    language: Language = "nl"
    defects: tuple[Defect, ...] = ()
    pin: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4,12}$")] = "1234"
    tries: Annotated[int, msgspec.Meta(ge=0, le=3)] = 3
    holder_key: Literal["", "rsa", "ec"] = ""
    identity: Person = Person()
    address: Home = Home()
    photo: Picture = Picture()

    def has(self, defect: Defect) -> bool:
        return defect in self.defects


def load_spec(path: Path) -> Spec:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Spec)
    except (OSError, msgspec.DecodeError) as error:
        raise BadSpec(f"{path}: {error}") from error
