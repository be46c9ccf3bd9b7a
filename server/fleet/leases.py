"""Leases: a kit's store opens only with a share that is handed out here, for hours and a number of visits.

A kit that is lost gets none, and so closes by itself, whether anything can reach it or not. Shares change
every day the kit is online: the one before is forgotten here once the kit says it has gone on.
"""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol import lease
from protocol.instant import write_instant
from protocol.lease import SHARE, Asked, BadLease, Granted
from server.db.field_key import FieldKey
from server.db.tables import Kit, KitLease
from server.fleet import rosters
from server.fleet.bags import Sealer
from server.fleet.refused import Refused

TURN = timedelta(hours=20)
"""So long a share is in use before the next one is handed out: a new one every working day."""


@dataclass(frozen=True)
class Lender:
    """What handing out leases takes, and their terms."""

    fields: FieldKey = field(repr=False)
    sealer: Sealer
    roots: Sequence[x509.Certificate] = field(repr=False)
    hours: int
    visits: int


def grant(db: Session, lender: Lender, kit: Kit, token: str, now: datetime) -> bytes:
    """The sealed answer to a kit's request.

    Refused: lease-malformed, lease-untrusted, wrong-kit, kit-lost."""
    try:
        asked = lease.verify_asked(token, lender.roots, now)
    except BadLease as problem:
        raise Refused(problem.code) from problem
    if asked.kit_id != kit.kit_id:
        raise Refused("wrong-kit")
    if kit.lost is not None:
        raise Refused("kit-lost")
    row = _row(db, asked, now)
    if row.following is None and (row.share is None or now - row.turned >= TURN):
        row.following = _seal(lender, kit.kit_id, asked.epoch + 1, secrets.token_bytes(SHARE))
    row.granted, row.ends = now, now + timedelta(hours=lender.hours)
    granted = Granted(
        kit.kit_id,
        asked.nonce,
        asked.epoch,
        _open(lender, kit.kit_id, asked.epoch, row.share),
        _open(lender, kit.kit_id, asked.epoch + 1, row.following),
        lender.hours,
        lender.visits,
        write_instant(now),
        rosters.document(db, lender.sealer, kit, asked.nonce, now),
    )
    return lease.seal_granted(granted, asked.recipient, lender.sealer.key, lender.sealer.kid)


def closing(db: Session) -> dict[str, datetime]:
    """When each kit closes by itself, by kit."""
    return {row.kit_id: row.ends for row in db.scalars(select(KitLease))}


def _row(db: Session, asked: Asked, now: datetime) -> KitLease:
    """The kit's row, brought to the epoch it says it is in.

    An epoch that is not known here (a kit founded anew, this database put back from a backup) begins without
    its share: the kit goes on with the one it holds, if it holds one, and gets the next one at once."""
    row = db.get(KitLease, asked.kit_id, with_for_update=True)
    if row is None:
        row = KitLease(kit_id=asked.kit_id, epoch=asked.epoch, turned=now, granted=now, ends=now)
        db.add(row)
    elif asked.epoch == row.epoch + 1 and row.following is not None:
        row.epoch, row.share, row.following, row.turned = asked.epoch, row.following, None, now
    elif asked.epoch != row.epoch:
        row.epoch, row.share, row.following, row.turned = asked.epoch, None, None, now
    return row


def _seal(lender: Lender, kit_id: str, epoch: int, share: bytes) -> bytes:
    return lender.fields.seal("", _place(kit_id, epoch), base64.b64encode(share).decode())


def _open(lender: Lender, kit_id: str, epoch: int, sealed: bytes | None) -> bytes:
    if sealed is None:
        return b""
    return base64.b64decode(lender.fields.open("", _place(kit_id, epoch), sealed))


def _place(kit_id: str, epoch: int) -> str:
    return f"kit_lease|share|{kit_id}/{epoch}"
