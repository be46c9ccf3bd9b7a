"""What a competent service may ask over HTTPS (docs/protocol.md 11): list, packet, receipt, statement.

On the kits' listener: who it is follows from its certificate, of role `collector`, alone.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import msgspec
import structlog
from flask import Blueprint, Response, abort, g, request
from flask.typing import ResponseReturnValue
from msgspec import Meta

from protocol.identity import Role
from protocol.ids import is_ulid
from server.fleet.collecting import Collection
from server.fleet.refused import Refused
from server.web import bodies
from server.web.kit_door import SERVICES, peer

LONGEST_BODY = 16 * 1024
log = structlog.get_logger()


class Answered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    receipt: Annotated[str, Meta(max_length=LONGEST_BODY)]


def blueprint(collection: Collection, clock: Callable[[], datetime]) -> Blueprint:
    """The calls, under /service/v1."""
    door = Blueprint(SERVICES, __name__, url_prefix="/service/v1")

    @door.before_request
    def who() -> None:
        name = peer(request.environ.get("gunicorn.socket"), Role.COLLECTOR, clock())
        if name is None or not collection.knows(name):
            abort(403)
        g.collector = name

    @door.get("/applications")
    def waiting() -> ResponseReturnValue:
        found = collection.waiting(g.collector)
        return {"applications": [msgspec.to_builtins(each) for each in found]}

    @door.get("/statement")
    def statement() -> ResponseReturnValue:
        after = request.args.get("after", "")
        if after:
            _check(after)
        found, more = collection.statement(g.collector, after)
        return {"applications": [msgspec.to_builtins(each) for each in found], "more": more}

    @door.get("/applications/<packet_id>")
    def fetch(packet_id: str) -> ResponseReturnValue:
        _check(packet_id)
        packet = collection.fetch(g.collector, packet_id, clock())
        log.info("packet fetched", packet=packet_id, collector=g.collector)
        return Response(packet, mimetype="application/octet-stream")

    @door.post("/applications/<packet_id>/receipt")
    def answer(packet_id: str) -> ResponseReturnValue:
        _check(packet_id)
        wish = bodies.read(Answered, LONGEST_BODY)
        state = collection.answer(g.collector, packet_id, wish.receipt, clock())
        log.info("packet answered", packet=packet_id, collector=g.collector, state=state)
        return {"state": state}

    @door.errorhandler(Refused)
    def refuse(problem: Refused) -> ResponseReturnValue:
        log.warning("collector refused", collector=g.collector, code=problem.code)
        return {"error": problem.code}, 404 if problem.code == "unknown-application" else 422

    return door


def _check(packet_id: str) -> None:
    if not is_ulid(packet_id):
        abort(404)
