"""Created = queued + sent + accepted + refused, always: one query over the one table that has the states.

A supplement is a part of its application and counted in it: until the service has answered the whole, that is
sent. The database holds no state but those of `protocol.lifecycle` (a CHECK), and each is in one of the four.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from protocol.lifecycle import ApplicationState as S
from server.db.tables import Application, Municipality

QUEUED = (S.SEALED,)  # on the kit
SENT = (S.UPLOADED, S.FORWARDED, S.STUCK, S.RECAPTURE)  # with fleet or service, no final answer
ACCEPTED = (S.ACCEPTED,)
REFUSED = (S.REJECTED, S.EXPIRED)  # there will be no card of it


@dataclass(frozen=True)
class Tally:
    """`created` is counted by itself, not summed."""

    created: int
    queued: int
    sent: int
    accepted: int
    refused: int


NOTHING = Tally(0, 0, 0, 0, 0)


def tally(db: Session) -> tuple[Tally, dict[str, Tally]]:
    """Of everything in the scope of the session, and by municipality (name) that has any."""
    columns = [
        func.sum(case((Application.state.in_(states), 1), else_=0))
        for states in (QUEUED, SENT, ACCEPTED, REFUSED)
    ]
    rows = db.execute(
        select(Municipality.name, func.count(), *columns)
        .select_from(Application)
        .where(Application.supplements.is_(None))
        .join(Municipality, Municipality.tenant == Application.tenant)
        .group_by(Municipality.tenant, Municipality.name)
        .order_by(Municipality.name)
    ).all()
    each = {name: Tally(*map(int, figures)) for name, *figures in rows}
    return _sum(each.values()), each


def _sum(tallies: Iterable[Tally]) -> Tally:
    figures = [(one.created, one.queued, one.sent, one.accepted, one.refused) for one in tallies]
    return Tally(*map(sum, zip(*figures, strict=True))) if figures else NOTHING
