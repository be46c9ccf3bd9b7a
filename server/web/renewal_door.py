"""Where a kit gets its new certificates over HTTPS (docs/protocol.md 14). On the kits' listener; who asks was
judged there, and may come with an expired certificate here and nowhere else.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
import structlog
from cryptography import x509
from flask import Blueprint, Response, abort, g
from flask.typing import ResponseReturnValue
from msgspec import Meta

from protocol import renewal
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.fleet import kits, renewals
from server.fleet.refused import Refused
from server.web import bodies

RENEWALS = "renewal_door"
LONGEST_BODY = renewal.LONGEST + 1024
AGAIN_S = 5
log = structlog.get_logger()


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    request: Annotated[str, Meta(max_length=renewal.LONGEST)]


class Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    done: Annotated[str, Meta(max_length=renewal.LONGEST)]


def blueprint(
    database: Database, roots: Sequence[x509.Certificate], clock: Callable[[], datetime]
) -> Blueprint:
    """The calls, under /kit/v1/renew."""
    door = Blueprint(RENEWALS, __name__, url_prefix="/kit/v1/renew")

    @door.get("")
    def knock() -> ResponseReturnValue:
        """Nothing but that this certificate is let in."""
        return Response(status=204)

    @door.post("")
    def ask() -> ResponseReturnValue:
        wish, now = bodies.read(Wish, LONGEST_BODY), clock()
        try:
            with database.writing(EVERYONE) as db:
                kit = kits.active(db, g.kit.kit_id)
                if kit is None:
                    abort(403)
                issued = renewals.ask(db, roots, kit, wish.request, now)
        except Refused as problem:
            if problem.code == "renewal-superseded":
                with database.writing(EVERYONE) as db:
                    renewals.suspect(db, g.kit.kit_id, now)
            raise
        if issued is None:
            return {"state": "pending"}, 202, {"Retry-After": str(AGAIN_S)}
        return {"state": "issued", "chain": issued.chain, "authorities": issued.authorities}

    @door.post("/done")
    def done() -> ResponseReturnValue:
        word = bodies.read(Word, LONGEST_BODY)
        with database.writing(EVERYONE) as db:
            kit = kits.active(db, g.kit.kit_id)
            if kit is None:
                abort(403)
            renewals.done(db, roots, kit, word.done, clock())
        log.info("certificate renewed", kit=g.kit.kit_id)
        return Response(status=204)

    return door
