"""Is the server there (`/healthz`), can it work (`/readyz`), and how is it doing (`/metrics`, guarded)."""

from collections.abc import Iterable

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from server.db import schema
from server.db.queueing import WriterHeld
from server.db.scope import EVERYONE
from server.fleet import applications, kits, outbox
from server.web import held
from server.web.context import context

blueprint = Blueprint("health", __name__)
PATIENCE_S = 5.0  # for a turn to write; who asks whether we can work seldom waits for longer


@blueprint.get("/healthz")
def alive() -> ResponseReturnValue:
    return {"alive": True}


@blueprint.get("/readyz")
def ready() -> ResponseReturnValue:
    try:
        schema.check(context().database)
        context().database.writable(PATIENCE_S)
    except (SQLAlchemyError, schema.NotMigrated):
        return {"ready": False}, 503
    except WriterHeld as problem:
        held.tell(problem)
        return {"ready": False, "why": "writer-held"}, 503
    return {"ready": True}


@blueprint.get("/metrics")
def metrics() -> Response:
    """In the text format of Prometheus. Figures of the whole fleet, whoever asks: none speaks of a person."""
    with context().database.reading(EVERYONE) as db:
        states = applications.counts(db)
        queues = outbox.waiting(db)
        presences: dict[str, int] = {}
        for kit in kits.visible(db):
            presences[kit.presence] = presences.get(kit.presence, 0) + 1
    lines = [
        *_gauge("thuisloket_applications", "Sealed applications by state", "state", states.items()),
        *_gauge("thuisloket_kits", "Kits by presence", "presence", sorted(presences.items())),
        *_gauge("thuisloket_outbox", "Work waiting, by queue", "queue", sorted(queues.items())),
    ]
    return Response("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")


def _gauge(name: str, words: str, label: str, values: Iterable[tuple[str, int]]) -> list[str]:
    rows = [f'{name}{{{label}="{value}"}} {count}' for value, count in values]
    return [f"# HELP {name} {words}", f"# TYPE {name} gauge", *rows]
