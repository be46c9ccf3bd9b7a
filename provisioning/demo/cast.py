"""Who plays in the demo. Towns are real, everybody and every number is invented; check digits are right."""

from dataclasses import dataclass
from datetime import date
from typing import Literal


@dataclass(frozen=True)
class Town:
    """A municipality of the fleet. `number`: the first eight digits of an invented KBO number."""

    name: str
    postcodes: tuple[str, ...]
    number: str

    @property
    def tenant(self) -> str:
        """Ten digits, the last two 97 minus the first eight modulo 97, as the KBO does."""
        return f"{self.number}{97 - int(self.number) % 97:02d}"


TOWNS = (
    Town("Brugge", ("8000", "8200", "8310", "8380"), "09990001"),
    Town("Beernem", ("8730",), "09990002"),
    Town("Blankenberge", ("8370",), "09990003"),
    Town("Damme", ("8340",), "09990004"),
    Town("De Haan", ("8420", "8421"), "09990005"),
    Town("Jabbeke", ("8490",), "09990006"),
    Town("Knokke-Heist", ("8300", "8301"), "09990007"),
    Town("Oostkamp", ("8020",), "09990008"),
    Town("Torhout", ("8820",), "09990009"),
    Town("Zedelgem", ("8210", "8211"), "09990010"),
    Town("Zuienkerke", ("8377",), "09990011"),
)


@dataclass(frozen=True)
class Citizen:
    """Somebody to visit. `series`: the three digits of the day in an invented number, odd for men."""

    key: str  # of the card's folder and in the demo's page
    surname: str
    first_names: str
    born: date
    birth_place: str
    sex: Literal["F", "M"]
    series: int
    street: str
    postcode: str
    municipality: str
    phone: str
    language: Literal["nl", "fr", "de", "en"]
    evidence: str
    note: str
    generation: Literal["1.8", "1.7-rsa"]

    @property
    def national_number(self) -> str:
        """Eleven digits; the check is 97 minus the rest, with a 2 in front for births from 2000 on."""
        nine = f"{self.born:%y%m%d}{self.series:03d}"
        return f"{nine}{97 - int(('2' if self.born.year >= 2000 else '') + nine) % 97:02d}"

    @property
    def name(self) -> str:
        return f"{self.first_names} {self.surname}"


CITIZENS = (
    Citizen(
        key="maria",
        surname="Verstraete",
        first_names="Maria Godelieve",
        born=date(1941, 3, 12),
        birth_place="Brugge",
        sex="F",
        series=994,
        street="Langestraat 118",
        postcode="8000",
        municipality="Brugge",
        phone="050000001",
        language="nl",
        evidence="sworn-statement",
        note="Bel twee keer, de deur gaat traag open.",
        generation="1.8",
    ),
    Citizen(
        key="jozef",
        surname="Declercq",
        first_names="Jozef",
        born=date(1938, 11, 2),
        birth_place="Torhout",
        sex="M",
        series=991,
        street="Gistelse Steenweg 402",
        postcode="8200",
        municipality="Brugge",
        phone="050000002",
        language="nl",
        evidence="medical-certificate",
        note="",
        generation="1.7-rsa",
    ),
    Citizen(
        key="claudine",
        surname="Lambert",
        first_names="Claudine",
        born=date(1952, 7, 28),
        birth_place="Namur",
        sex="F",
        series=996,
        street="Dudzeelse Steenweg 31",
        postcode="8380",
        municipality="Brugge",
        phone="050000003",
        language="fr",
        evidence="medical-certificate",
        note="Kamer 214, aanmelden aan de balie.",
        generation="1.8",
    ),
)


@dataclass(frozen=True)
class OfficerRole:
    officer_id: str
    name: str


OFFICERS = (OfficerRole("an.peeters", "An Peeters"), OfficerRole("bram.maes", "Bram Maes"))
