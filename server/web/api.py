"""The API under /api/v1: what the dashboard shows, for other programs. No citizen by name in it.

Its description is made from these models: `GET /api/v1/openapi.json`, `thuisloket-fleet openapi`.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Literal

import msgspec
from apiflask import APIBlueprint
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select

from protocol.lifecycle import ApplicationState, VisitState
from protocol.recapture import Part
from server.db.tables import Recapture, Request
from server.fleet import applications as sealed
from server.fleet import kits as cases
from server.fleet import overview, recaptures, tally
from server.fleet.visits import local_day
from server.web.context import actor, context

blueprint = APIBlueprint("api", __name__, url_prefix="/api/v1", tag="fleet")


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Kit(Answer):
    kit_id: str
    presence: Literal["online", "sleep", "off", "lost", "unknown"]
    presence_at: datetime | None
    health_at: datetime | None
    battery: int | None
    mains: bool | None
    peripherals: dict[str, Literal["ok", "degraded", "missing"]]
    sealed_waiting: int
    oldest_waiting_since: datetime | None
    in_visit: bool
    retired: bool


class Kits(Answer):
    kits: list[Kit]


class Visit(Answer):
    visit_id: str
    request_id: str
    starts: datetime
    ends: datetime
    officer: str
    kit_id: str
    state: VisitState
    only: list[Part]


class Visits(Answer):
    """The visits of today, in Belgium. `only`: the parts that a short visit takes anew; else empty."""

    visits: list[Visit]


class Application(Answer):
    packet_id: str
    visit_id: str
    service_id: str
    kit_id: str
    state: ApplicationState
    reason: str
    changed: datetime
    supplements: str | None


class Applications(Answer):
    """`counts` has every application in the scope; `applications` the stuck ones and the last changed.

    A packet that `supplements` another is listed, and counted in that one."""

    counts: dict[ApplicationState, int]
    applications: list[Application]


class Tally(Answer):
    """Created = queued + sent + accepted + refused."""

    created: int
    queued: int
    sent: int
    accepted: int
    refused: int


class Custody(Answer):
    """`oldest_days`: of the oldest biometric anywhere in the fleet; null when there is none. Also by kit."""

    oldest_days: int | None
    kits: dict[str, int]
    incidents: int
    tally: Tally
    municipalities: dict[str, Tally]


class Again(Answer):
    """What the competent service wants anew, why (its code), and when it must be sealed."""

    packet_id: str
    parts: list[Part]
    code: str
    until: datetime


class RequestSeen(Answer):
    request_id: str
    created: datetime
    state: VisitState
    service_id: str
    postcode: str
    language: Literal["nl", "fr", "de", "en"]
    half_days: list[str]
    again: Again | None


class Requests(Answer):
    """Requests to plan first. Who it is about is on the pages only."""

    requests: list[RequestSeen]


@blueprint.get("/kits")
@blueprint.output(Kits)
@blueprint.doc(summary="Kits that serve the municipality", responses=[401, 403])
def kits() -> Kits:
    with context().database.reading(actor().scope) as db:
        lines = [overview.kit_line(kit) for kit in cases.visible(db)]
    return Kits(
        kits=[
            Kit.model_validate(
                {
                    "kit_id": line.kit_id,
                    "presence": line.presence,
                    "presence_at": line.presence_at,
                    "health_at": line.health_at,
                    "battery": line.battery,
                    "mains": line.mains,
                    "peripherals": dict(line.peripherals),
                    "sealed_waiting": line.waiting,
                    "oldest_waiting_since": line.oldest_since,
                    "in_visit": line.in_visit,
                    "retired": line.retired,
                }
            )
            for line in lines
        ]
    )


@blueprint.get("/visits")
@blueprint.output(Visits)
@blueprint.doc(summary="Today's visits", responses=[401, 403])
def visits() -> Visits:
    with context().database.reading(actor().scope) as db:
        lines = overview.visit_lines(db, local_day(context().clock()))
    return Visits(
        visits=[
            Visit(
                visit_id=line.visit_id,
                request_id=line.request_id,
                starts=line.starts,
                ends=line.ends,
                officer=line.officer,
                kit_id=line.kit_id,
                state=VisitState(line.state),
                only=list(line.only),
            )
            for line in lines
        ]
    )


@blueprint.get("/applications")
@blueprint.output(Applications)
@blueprint.doc(summary="Sealed applications by state", responses=[401, 403])
def applications() -> Applications:
    with context().database.reading(actor().scope) as db:
        rows = sealed.newest(db)
        counts = sealed.counts(db)
    return Applications(
        counts=counts,
        applications=[
            Application(
                packet_id=row.packet_id,
                visit_id=row.visit_id,
                service_id=row.service_id,
                kit_id=row.kit_id,
                state=ApplicationState(row.state),
                reason=row.reason,
                changed=row.changed,
                supplements=row.supplements,
            )
            for row in rows
        ],
    )


@blueprint.get("/custody")
@blueprint.output(Custody)
@blueprint.doc(summary="How old, how many, and what needs an administrator", responses=[401, 403])
def custody() -> Custody:
    now = context().clock()
    seen = context().live.look(actor().scope)
    with context().database.reading(actor().scope) as db:
        _, towns = tally.tally(db)
    return Custody(
        oldest_days=(now - seen.oldest).days if seen.oldest else None,
        kits={kit_id: (now - since).days for kit_id, since in seen.oldest_of.items()},
        incidents=len(seen.incidents),
        tally=Tally(**asdict(seen.tally)),
        municipalities={name: Tally(**asdict(one)) for name, one in towns.items()},
    )


@blueprint.get("/requests")
@blueprint.output(Requests)
@blueprint.doc(summary="Requests for a visit", responses=[401, 403])
def requests() -> Requests:
    to_plan = Request.state.in_((VisitState.REQUESTED, VisitState.ABANDONED))
    query = select(Request).where(Request.merged_into.is_(None))
    with context().database.reading(actor().scope) as db:
        asked = recaptures.open_by_request(db)
        rows = db.scalars(query.order_by(to_plan.desc(), Request.created.desc()).limit(200)).all()
    return Requests(
        requests=[
            RequestSeen.model_validate(
                {
                    "request_id": row.request_id,
                    "created": row.created,
                    "state": row.state,
                    "service_id": row.service_id,
                    "postcode": row.postcode,
                    "language": row.language,
                    "half_days": row.half_days,
                    "again": _again(asked.get(row.request_id)),
                }
            )
            for row in rows
        ]
    )


def _again(asked: Recapture | None) -> dict[str, object] | None:
    return msgspec.to_builtins(recaptures.told(asked)) if asked is not None else None
