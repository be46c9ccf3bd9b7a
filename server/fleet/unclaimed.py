"""Packets whose bytes are all here and which are no application: told to a person, for somebody waits for it.

A kit goes on offering what it was refused, and asks on for what was not finished, so most of it mends itself
within the hour: until then nobody is told. What arrives after all is settled without anybody.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, exists, or_, select
from sqlalchemy.orm import Session

from server.db.tables import Application, Incident, Upload
from server.fleet import incidents
from server.fleet.incidents import Code

PATIENCE = timedelta(hours=1)
MOST = 500
CODES: tuple[Code, ...] = ("packet-refused", "packet-unfinished", "packet-unknown")
_BY_STATE: dict[str, Code] = {"refused": "packet-refused", "complete": "packet-unknown"}


def watch(db: Session, now: datetime) -> list[tuple[str, Code]]:
    """Tell what has lain here for PATIENCE, and settle what no longer does; the packets newly told of. Those
    that are more than MOST are told with the next calls."""
    _find_unknown(db, now)
    waits = or_(Upload.state.in_(_BY_STATE), Upload.touched <= now - PATIENCE)
    query = select(Upload).where(Upload.whole <= now - PATIENCE, waits, ~_is_told())
    query = query.order_by(Upload.whole).limit(MOST)
    found = []
    for upload in db.scalars(query):
        if _arrived(db, upload.packet_id):
            upload.whole = None
        code = _code(upload, now)
        if code is None or upload.whole is None:
            continue
        said = f"{-(-upload.size // 1000)} kB {upload.reason}".strip()
        if incidents.report(db, upload.kit_id, code, upload.packet_id, said, upload.whole):
            found.append((upload.packet_id, code))
    _settle(db, incidents.waiting(db, CODES), now)
    return found


def _code(upload: Upload, now: datetime) -> Code | None:
    """None while somebody may be judging it."""
    if upload.state in _BY_STATE:
        return _BY_STATE[upload.state]
    return "packet-unfinished" if upload.touched <= now - PATIENCE else None


def _is_told() -> ColumnElement[bool]:
    """Of an upload, as what it is by now. What had settled itself is told again."""
    return exists().where(
        Incident.code == case(_BY_STATE, value=Upload.state, else_="packet-unfinished"),
        Incident.kit_id == Upload.kit_id,
        Incident.subject == Upload.packet_id,
        or_(Incident.acknowledged.is_(None), Incident.acknowledged_by != ""),
    )


def _find_unknown(db: Session, now: datetime) -> None:
    """Uploads that are complete while no application knows of them: as a backup put back leaves them."""
    known = select(Application.packet_id).where(
        Application.packet_id == Upload.packet_id, Application.uploaded.is_not(None)
    )
    rows = select(Upload).where(Upload.state == "complete", Upload.whole.is_(None), ~known.exists())
    for upload in db.scalars(rows.limit(MOST)):
        upload.whole = now
    db.flush()


def _settle(db: Session, told: Iterable[Incident], now: datetime) -> None:
    for incident in told:
        upload = db.get(Upload, incident.subject)  # None: swept, because nobody asked for it any more
        code = _code(upload, now) if upload is not None else None
        arrived = _arrived(db, incident.subject)
        if arrived and upload is not None:
            upload.whole = None
        if arrived or code not in (None, incident.code):
            incidents.settle(incident, now)


def _arrived(db: Session, packet_id: str) -> bool:
    application = db.get(Application, packet_id)
    return application is not None and application.uploaded is not None
