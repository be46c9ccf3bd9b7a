"""A request as it was filled in, checked field by field: from the public form, a clerk, or a file. Pure.

Evidence says why somebody cannot come to the counter; the kinds follow the practice of Flemish municipalities
(a sworn statement of a care professional, a medical certificate, a stay in an institution, or a
certificate shown at the visit). No certificate is ever uploaded: it is seen, not kept.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from stdnum.be import bis, nn
from stdnum.exceptions import ValidationError

from server.fleet.refused import Invalid

SERVICES = ("be.eid.application",)
LANGUAGES = ("nl", "fr", "de", "en")
EVIDENCE = ("sworn-statement", "medical-certificate", "institution", "shown-at-visit")
REQUESTERS = ("self", "family", "carer", "social-service", "institution")
HALF_DAYS = tuple(f"{day}-{half}" for day in ("mon", "tue", "wed", "thu", "fri") for half in ("am", "pm"))
FIELDS = (  # in the order of the form
    "requester",
    "requester_name",
    "requester_contact",
    "name",
    "birth_date",
    "national_number",
    "phone",
    "language",
    "street",
    "postcode",
    "municipality",
    "note",
    "evidence",
    "half_days",
    "service_id",
)

_PHONE = re.compile(r"\+?[0-9]{8,14}")
_DAY_FIRST = re.compile(r"([0-9]{1,2})[./\s-]([0-9]{1,2})[./\s-]([0-9]{4})")
_OLDEST_YEARS = 125


@dataclass(frozen=True)
class Person:
    """Who is visited and where, in clear: held in memory only."""

    name: str = field(repr=False)
    birth_date: str = field(repr=False)  # ISO
    national_number: str = field(repr=False)  # eleven digits, or ""
    phone: str = field(repr=False)
    street: str = field(repr=False)
    note: str = field(repr=False)  # how to get in
    requester_name: str = field(repr=False)
    requester_contact: str = field(repr=False)


@dataclass(frozen=True)
class Draft:
    service_id: str
    language: str
    evidence: str
    requester: str
    half_days: tuple[str, ...]
    postcode: str
    municipality: str
    person: Person


def read(given: Mapping[str, object], today: date) -> Draft:
    """The draft in `given`: texts by field, `half_days` a list of texts. Invalid names every wrong field."""
    form = _Form(given)
    for name in given:
        if name not in FIELDS:
            form.errors[name] = "unknown-field"
    requester = form.choice("requester", REQUESTERS)
    by_other = requester not in ("self", "")
    person = Person(
        name=form.text("name", 2, 120),
        birth_date=form.day("birth_date", today),
        national_number=form.national_number("national_number"),
        phone=form.phone("phone", required=requester == "self"),
        street=form.text("street", 3, 120),
        note=form.text("note", 0, 300),
        requester_name=form.text("requester_name", 2, 120) if by_other else "",
        requester_contact=form.text("requester_contact", 5, 120) if by_other else "",
    )
    draft = Draft(
        service_id=form.choice("service_id", SERVICES, default=SERVICES[0]),
        language=form.choice("language", LANGUAGES),
        evidence=form.choice("evidence", EVIDENCE),
        requester=requester,
        half_days=form.several("half_days", HALF_DAYS),
        postcode=form.postcode("postcode"),
        municipality=form.text("municipality", 2, 80),
        person=person,
    )
    if form.errors:
        raise Invalid(form.errors)
    return draft


class _Form:
    """Takes one field after the other and gathers what is wrong."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self.given = given
        self.errors: dict[str, str] = {}

    def wrong(self, name: str, code: str) -> None:
        """The first thing that is wrong with a field counts."""
        self.errors.setdefault(name, code)

    def _raw(self, name: str) -> str:
        value = self.given.get(name, "")
        if not isinstance(value, str) or len(value) > 1000:
            self.wrong(name, "malformed")
            return ""
        return " ".join(unicodedata.normalize("NFC", value).split())

    def text(self, name: str, shortest: int, longest: int) -> str:
        value = self._raw(name)
        if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn") for character in value):
            self.wrong(name, "malformed")
        elif not value and shortest:
            self.wrong(name, "missing")
        elif value and not shortest <= len(value) <= longest:
            self.wrong(name, "length")
        return value

    def choice(self, name: str, options: Sequence[str], default: str = "") -> str:
        value = self._raw(name) or default
        if value not in options:
            self.wrong(name, "choose" if not value else "malformed")
            return ""
        return value

    def several(self, name: str, options: Sequence[str]) -> tuple[str, ...]:
        values = self.given.get(name, [])
        if not isinstance(values, list | tuple) or any(value not in options for value in values):
            self.wrong(name, "malformed")
            return ()
        return tuple(option for option in options if option in values)

    def postcode(self, name: str) -> str:
        value = self._raw(name)
        if not re.fullmatch(r"[1-9][0-9]{3}", value):
            self.wrong(name, "postcode" if value else "missing")
        return value

    def phone(self, name: str, *, required: bool) -> str:
        value = re.sub(r"[ ./()-]", "", self._raw(name))
        if value and not _PHONE.fullmatch(value):
            self.wrong(name, "phone")
        elif required and not value:
            self.wrong(name, "missing")
        return value

    def national_number(self, name: str) -> str:
        """Eleven digits that check (stdnum `be.nn`; `be.bis` for those not in the register)."""
        value = re.sub(r"[ .-]", "", self._raw(name))
        if not value:
            return ""
        for kind in (nn, bis):
            try:
                return str(kind.validate(value))
            except ValidationError:
                continue
        self.wrong(name, "national-number")
        return ""

    def day(self, name: str, today: date) -> str:
        """A day of birth as 2026-11-23 or, as people write it, 23/11/2026; returned as ISO."""
        value = self._raw(name)
        if not value:
            self.wrong(name, "missing")
            return ""
        turned = _DAY_FIRST.fullmatch(value)
        try:
            if turned:
                born = date(int(turned[3]), int(turned[2]), int(turned[1]))
            else:
                born = datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007 (a day has no zone)
        except ValueError:
            self.wrong(name, "date")
            return ""
        if not today.year - _OLDEST_YEARS <= born.year or born > today:
            self.wrong(name, "date")
        return born.isoformat()
