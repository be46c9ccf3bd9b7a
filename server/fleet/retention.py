"""The fleet's own sealed copies: gone once the service has answered, and at 90 days whoever has not."""

from datetime import datetime

from sqlalchemy import select

from protocol.lifecycle import ApplicationState
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.db.tables import Application
from server.fleet import applications, custody, incidents
from server.fleet.blobs import BlobStore
from server.fleet.holdings import HARD_LIMIT

OVER = (
    ApplicationState.ACCEPTED,
    ApplicationState.REJECTED,
    ApplicationState.RECAPTURE,
    ApplicationState.EXPIRED,
)
MOST = 200  # at a time; the rest comes with the next look


def purge(database: Database, blobs: BlobStore, now: datetime) -> int:
    """Destroy what is due; how many. The file goes first: cut short, it is done again."""
    with database.writing(EVERYONE) as db:
        old = select(Application).where(
            Application.blob_sha256.is_not(None),
            Application.created <= now - HARD_LIMIT,
            Application.state.not_in(OVER),
        )
        for row in db.scalars(old.limit(MOST).with_for_update()):  # its answer may come at this moment
            incidents.report(db, row.kit_id, "hard-limit", row.packet_id, "fleet-copy", now)
            applications.expired(db, row, now)
    held = select(Application).where(Application.blob_sha256.is_not(None), Application.state.in_(OVER))
    with database.reading(EVERYONE) as db:
        due = [(row.packet_id, row.blob_sha256) for row in db.scalars(held.limit(MOST))]
    for packet_id, digest in due:
        assert digest is not None  # the query says so
        blobs.drop(digest)
        with database.writing(EVERYONE) as db:
            row = db.get_one(Application, packet_id, with_for_update=True)
            row.blob_sha256 = None
            custody.note(db, row, "purged", now)
    return len(due)
