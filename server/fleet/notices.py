"""What is said to all kits at once: when the fleet means to be away, the oldest version it still serves, and
the number of the revocation lists in force.

Plain words of ours and no text of anybody: every kit has them in its own language.
"""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from protocol.instant import write_instant
from protocol.messages import Notice, Outage
from server.auth.roles import Actor
from server.db.tables import FleetNotice
from server.db.turns import take_turn
from server.fleet import outbox
from server.fleet.refused import Refused

OLDEST = "0.1.0"
LONGEST = timedelta(days=14)
_ROW = 1


def announce(
    db: Session, actor: Actor, begins: datetime | None, ends: datetime | None, now: datetime
) -> None:
    """Say when the fleet will be away; None and None: it will not. Refused: not-allowed (it is said to the
    kits of all municipalities), bad-outage."""
    if not actor.may("steer") or actor.tenant is not None:
        raise Refused("not-allowed")
    if (begins is None) != (ends is None):
        raise Refused("bad-outage")
    if begins is not None and ends is not None and not (now < ends and begins < ends <= begins + LONGEST):
        raise Refused("bad-outage")
    row = _row(db, now)
    row.begins, row.ends, row.set_by, row.set_at = begins, ends, actor.name[:64], now
    outbox.put_once(db, "notice", "", now)


def lists_in_force(db: Session, number: int, now: datetime) -> None:
    """The broker honours revocation lists of this number: told to the kits when it is another one."""
    row = _row(db, now)
    if row.crl_number != number:
        row.crl_number = number
        outbox.put_once(db, "notice", "", now)


def said(db: Session, now: datetime) -> Notice:
    """What holds now; an outage that is over is not spoken of."""
    row = db.get(FleetNotice, _ROW)
    outage = None
    if row is not None and row.begins is not None and row.ends is not None and row.ends > now:
        outage = Outage(write_instant(row.begins), write_instant(row.ends))
    if row is None:
        return Notice(crl_number=0, minimum_version=OLDEST, outage=None)
    return Notice(crl_number=row.crl_number, minimum_version=row.minimum_version, outage=outage)


def _row(db: Session, now: datetime) -> FleetNotice:
    take_turn(db, "notice")
    row = db.get(FleetNotice, _ROW, with_for_update=True)
    if row is None:
        row = FleetNotice(only=_ROW, minimum_version=OLDEST, crl_number=0, set_by="", set_at=now)
        db.add(row)
    return row
