"""A citizen's personal data in the columns of a request: sealed on the way in, opened on the way out."""

from dataclasses import asdict, fields

from server.db.field_key import FieldKey
from server.db.tables import Request
from server.fleet.drafts import Draft, Person

COLUMNS = tuple(field.name for field in fields(Person))


def seal(key: FieldKey, tenant: str, request_id: str, person: Person) -> dict[str, bytes]:
    """Ciphertext by column."""
    clear: dict[str, str] = asdict(person)
    return {column: key.seal(tenant, _place(column, request_id), clear[column]) for column in COLUMNS}


def open_(key: FieldKey, request: Request) -> Person:
    """The person of `request`. FieldDamaged when a column was changed or moved."""
    return Person(
        **{
            column: key.open(request.tenant, _place(column, request.request_id), getattr(request, column))
            for column in COLUMNS
        }
    )


def missing(person: Person) -> tuple[str, ...]:
    """Which facts a short visit needs that the request does not have: whom to visit and where, how to make an
    appointment, and the number that the card must have."""
    needed = ("name", "street", "phone", "national_number")
    return tuple(name for name in needed if not getattr(person, name))


def twin(key: FieldKey, tenant: str, draft: Draft) -> str:
    """The same for two requests about the same person and service, and nothing else can be read from it."""
    person = draft.person
    if person.national_number:
        return key.fingerprint(tenant, draft.service_id, person.national_number)
    return key.fingerprint(
        tenant, draft.service_id, person.name.casefold(), person.birth_date, draft.postcode
    )


def _place(column: str, request_id: str) -> str:
    return f"request|{column}|{request_id}"
