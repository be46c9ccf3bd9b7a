"""Looks for applications that nobody works on any more, and puts their work back: the net below the outbox.

Every state that waits for us has its row in the outbox, written in one transaction with it. A backup that was
put back, a hand in the database, or a bug of ours could part them; then this finds it within the hour.
"""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.lifecycle import ApplicationState
from server.db.tables import Application, OutboxRow
from server.fleet import outbox

QUIET = timedelta(minutes=10)  # what changed since is still being worked on
MOST = 500  # put back at a time


def reconcile(db: Session, now: datetime) -> list[str]:
    """Packets whose forwarding was put back in the queue, oldest first."""
    works_on = select(OutboxRow.row_id).where(
        OutboxRow.queue == "forward", OutboxRow.subject == Application.packet_id
    )
    idle = (
        select(Application.packet_id)
        .where(
            Application.state.in_((ApplicationState.UPLOADED, ApplicationState.FORWARDED)),
            Application.changed < now - QUIET,
            ~works_on.exists(),
        )
        .order_by(Application.changed)
        .limit(MOST)
    )
    found = list(db.scalars(idle))
    for packet_id in found:
        outbox.put(db, "forward", packet_id, now)
    return found
