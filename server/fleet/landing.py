"""Sealed packets that come in pieces through the broker: into the same uploads as over HTTPS, with the same
fence, on the disk before it is said so (docs/protocol.md 7.2).

A piece is acknowledged to the broker once it has been dealt with, so a worker that is killed gets it again;
the fence tells what is late or twice.
"""

from datetime import datetime

import structlog

from protocol import ferry
from protocol.ferry import Begin, Piece, Standing
from protocol.messages import BadMessage
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.fleet import kits, uploads
from server.fleet.refused import Refused
from server.fleet.uploads import Dock, OutOfStep

log = structlog.get_logger()


def take(
    database: Database, dock: Dock, topic: str, payload: bytes, now: datetime
) -> tuple[str, Standing] | None:
    """Whom to tell what; None for what is malformed: the kit that hears nothing asks again how far it is."""
    try:
        kit_id, packet_id = ferry.parse_up(topic)
        said = ferry.decode_up(payload)
    except BadMessage as problem:
        log.warning("piece refused", code=problem.code, detail=problem.detail)
        return None
    corr = said.corr if isinstance(said, Begin) else ""
    generation = 0 if isinstance(said, Begin) else said.generation
    try:
        with database.reading(EVERYONE) as db:
            if kits.active(db, kit_id) is None:
                raise Refused("unknown-kit")
        stands = _land(database, dock, kit_id, packet_id, said, now)
    except OutOfStep as late:
        return kit_id, Standing(corr, packet_id, late.offset, late.generation, "open", late.code)
    except Refused as problem:
        log.warning("kit refused", kit=kit_id, code=problem.code)
        return kit_id, Standing(corr, packet_id, 0, generation, "refused", problem.code)
    if stands.state == "complete":
        log.info("packet committed", packet=packet_id, kit=kit_id, way="broker")
    return kit_id, Standing(corr, packet_id, stands.offset, stands.generation, stands.state, "")


def _land(
    database: Database, dock: Dock, kit_id: str, packet_id: str, said: Begin | Piece, now: datetime
) -> uploads.Standing:
    if isinstance(said, Begin):
        return uploads.begin(database, dock, kit_id, packet_id, said.size, said.sha256, now)
    return uploads.write(database, dock, kit_id, packet_id, said.offset, said.generation, said.data, now)
