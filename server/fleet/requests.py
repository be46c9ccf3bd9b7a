"""Requests for a home visit: made by anyone, read by the municipality they are for."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from protocol.ids import ALPHABET, new_ulid
from protocol.lifecycle import VisitState
from server.auth.roles import Actor
from server.db.field_key import FieldKey
from server.db.tables import Recapture, Request, StatusCode
from server.db.turns import take_turn
from server.fleet import municipalities, persons, recaptures
from server.fleet.drafts import Draft, Person
from server.fleet.refused import Invalid, Refused

OPEN = tuple(state for state in VisitState if state is not VisitState.CLOSED)
CODE_CHARACTERS = 16  # of 5 bits: 80 bits, and asking is throttled


@dataclass(frozen=True)
class Made:
    """A request that was taken. `code` is shown once to whoever made it, and kept nowhere."""

    request_id: str
    code: str = field(repr=False)
    tenant: str
    merged: bool  # there was an open request for the same person: this one was added to it


def make(db: Session, key: FieldKey, draft: Draft, now: datetime) -> Made:
    """Take a request. `db` is a session for everyone: whose request it is follows from the postcode.

    Invalid when no municipality of ours answers for the postcode."""
    municipality = municipalities.of_postcode(db, draft.postcode)
    if municipality is None:
        raise Invalid({"postcode": "not-served"})
    tenant = municipality.tenant
    twin = persons.twin(key, tenant, draft)
    take_turn(db, twin)  # two requests for one person at once would each be the first
    first = db.scalar(
        select(Request.request_id)
        .where(
            Request.tenant == tenant,
            Request.twin == twin,
            Request.merged_into.is_(None),
            Request.state.in_(OPEN),
        )
        .limit(1)
    )
    request_id = new_ulid()
    db.add(
        Request(
            request_id=request_id,
            tenant=tenant,
            created=now,
            state=VisitState.REQUESTED,
            service_id=draft.service_id,
            language=draft.language,
            evidence=draft.evidence,
            requester=draft.requester,
            half_days=list(draft.half_days),
            postcode=draft.postcode,
            municipality=draft.municipality,
            twin=twin,
            merged_into=first,
            **persons.seal(key, tenant, request_id, draft.person),
        )
    )
    db.flush()
    code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARACTERS))
    db.add(StatusCode(code_sha256=_digest(code), tenant=tenant, request_id=request_id))
    return Made(request_id, code, tenant, merged=first is not None)


@dataclass(frozen=True)
class Opened:
    """A request with its person in clear, for somebody who may see requests."""

    request: Request
    person: Person = field(repr=False)
    also: int  # later requests that were added to this one
    again: Recapture | None = None  # what the service wants anew of its application


def listed(db: Session, key: FieldKey, actor: Actor, limit: int = 200) -> list[Opened]:
    """Requests in the actor's scope, those to be planned first, then newest. Refused not-allowed."""
    _may_see(actor)
    to_plan = Request.state.in_((VisitState.REQUESTED, VisitState.ABANDONED))
    query = select(Request).where(Request.merged_into.is_(None))
    rows = db.scalars(query.order_by(to_plan.desc(), Request.created.desc()).limit(limit)).all()
    more, again = _merged(db), recaptures.open_by_request(db)
    return [
        Opened(row, persons.open_(key, row), more.get(row.request_id, 0), again.get(row.request_id))
        for row in rows
    ]


def opened(db: Session, key: FieldKey, actor: Actor, request_id: str) -> Opened:
    """One request. Refused not-allowed, unknown-request (also when it is another municipality's)."""
    _may_see(actor)
    row = db.get(Request, request_id)
    if row is None:
        raise Refused("unknown-request")
    again = recaptures.open_of(db, request_id)
    return Opened(row, persons.open_(key, row), _merged(db).get(request_id, 0), again)


def of_code(db: Session, code: str) -> Request | None:
    """The request behind a status code, written with or without spaces and hyphens, in any case."""
    plain = "".join(character for character in code.upper() if character.isalnum())
    # As Crockford reads them: these letters are not in the alphabet because they look like digits.
    plain = plain.translate(str.maketrans("OIL", "011"))
    row = db.get(StatusCode, _digest(plain))
    return db.get(Request, row.request_id) if row else None


def _merged(db: Session) -> dict[str, int]:
    rows = db.execute(
        select(Request.merged_into, func.count())
        .where(Request.merged_into.is_not(None))
        .group_by(Request.merged_into)
    )
    return {into: count for into, count in rows if into is not None}


def _may_see(actor: Actor) -> None:
    if not actor.may("see-requests"):
        raise Refused("not-allowed")


def _digest(code: str) -> str:
    return sha256(code.encode()).hexdigest()
