"""Parts that a competent service wants anew: kept from its receipt until they were answered for good.

Whether a short visit is to be planned for one, is planned, or has been, is said by the request and its
visits, as for any other; here stands only what is asked, and whether it is still.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from protocol.instant import read_instant, write_instant
from protocol.recapture import Asked, Part
from protocol.sealed.receipt import Receipt
from server.db.tables import Application, Recapture, Visit


def ask(db: Session, application: Application, receipt: Receipt, request_id: str, now: datetime) -> None:
    """Keep what the answer to `application` asks for. A question before it about the same whole is answered
    by this one: the service says at any time what it waits for, all of it."""
    asked = receipt.asked
    assert asked is not None  # a verified receipt with this verdict says so
    whole = application.supplements or application.packet_id
    close(db, whole)
    db.add(
        Recapture(
            asked_by=application.packet_id,
            packet_id=whole,
            tenant=application.tenant,
            request_id=request_id,
            parts=list(asked.parts),
            code=asked.code,
            asked=now,
            until=read_instant(asked.until),
            state="open",
        )
    )
    db.flush()


def close(db: Session, packet_id: str) -> None:
    """Nothing is asked any more of this application."""
    still = (Recapture.packet_id == packet_id, Recapture.state == "open")
    db.execute(update(Recapture).where(*still).values(state="done"))


def open_of(db: Session, request_id: str) -> Recapture | None:
    """What is asked anew of a request's application, if anything."""
    query = select(Recapture).where(Recapture.request_id == request_id, Recapture.state == "open")
    return db.scalar(query.order_by(Recapture.asked.desc(), Recapture.asked_by.desc()).limit(1))


def open_by_request(db: Session) -> dict[str, Recapture]:
    """All that is asked anew, in the scope of the session."""
    rows = db.scalars(select(Recapture).where(Recapture.state == "open").order_by(Recapture.asked))
    return {row.request_id: row for row in rows}


def by_answer(db: Session, packet_ids: Iterable[str]) -> dict[str, Recapture]:
    """What was asked in the answers to these packets."""
    rows = db.scalars(select(Recapture).where(Recapture.asked_by.in_(list(packet_ids))))
    return {row.asked_by: row for row in rows}


def of_visit(db: Session, visit: Visit) -> Recapture | None:
    """What a short visit is for; None for a whole one."""
    return db.get(Recapture, visit.recapture) if visit.recapture is not None else None


def parts_of(db: Session, visits: Iterable[Visit]) -> dict[str, tuple[Part, ...]]:
    """By visit id, of the short ones among these."""
    short = {visit.visit_id: visit.recapture for visit in visits if visit.recapture is not None}
    asked = by_answer(db, short.values())
    return {visit_id: told(asked[key]).parts for visit_id, key in short.items()}


def told(row: Recapture) -> Asked:
    """As the day bag says it."""
    parts: tuple[Part, ...] = tuple(row.parts)  # type: ignore[arg-type]  # they came from a receipt
    return Asked(packet_id=row.packet_id, parts=parts, code=row.code, until=write_instant(row.until))
