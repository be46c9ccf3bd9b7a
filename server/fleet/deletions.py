"""Certificates of destruction: checked as the kit's own word about what it had, and entered in the book.

What is not that is refused and told as an incident; so is what a kit destroyed because 90 days were over.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from cryptography import x509
from sqlalchemy.orm import Session

from protocol.deletion import BadDeletion, Deletion, verify_whenever
from protocol.lifecycle import ApplicationState
from server.db.tables import Application, Holding, Visit
from server.fleet import applications, custody, holdings, incidents, kits

ANSWERED = frozenset({ApplicationState.ACCEPTED, ApplicationState.REJECTED, ApplicationState.RECAPTURE})


def take(db: Session, kit_id: str, token: str, roots: Sequence[x509.Certificate], now: datetime) -> str:
    """A kit's certificate of destruction, checked and entered; a code for what became of it.

    What is not the kit's own word about what it had is refused, and an incident."""
    try:
        deletion, _ = verify_whenever(token, roots)
    except BadDeletion as problem:
        subject = sha256(token.encode()).hexdigest()
        incidents.report(db, kit_id, "deletion-forged", subject, str(problem), now)
        return problem.code
    visit = db.get(Visit, deletion.visit_id)
    subject = deletion.packet_id or deletion.visit_id
    if deletion.kit_id != kit_id:
        incidents.report(db, kit_id, "deletion-foreign", subject, deletion.kit_id, now)
        return "deletion-foreign"
    if visit is None or not _had(db, kit_id, visit, deletion):
        incidents.report(db, kit_id, "deletion-unknown", subject, deletion.what, now)
        return "deletion-unknown"
    # Locked, as is done where it arrives: that may be at this moment.
    packet_id = deletion.packet_id
    application = db.get(Application, packet_id, with_for_update=True) if packet_id else None
    holdings.ended(db, visit, deletion, token, now)
    if deletion.what == "packet" or deletion.why == "sealed":
        custody.destroyed(db, kit_id, visit.visit_id, packet_id, token, now)
    if deletion.why == "hard-limit":
        incidents.report(db, kit_id, "hard-limit", subject, deletion.what, now)
        if application is not None and application.state == ApplicationState.SEALED:
            applications.expired(db, application, now)
    if deletion.why == "answered" and (application is None or application.state not in ANSWERED):
        incidents.report(db, kit_id, "deleted-unanswered", subject, "", now)
    return "deletion"


def _had(db: Session, kit_id: str, visit: Visit, deletion: Deletion) -> bool:
    """Whether it can be about something this kit had."""
    if db.get(Holding, (kit_id, visit.visit_id, deletion.packet_id)) is not None:
        return True
    application = db.get(Application, deletion.packet_id) if deletion.packet_id else None
    if application is not None:
        return (application.kit_id, application.visit_id) == (kit_id, visit.visit_id)
    # Its report that there was something may come after this: two workers take messages in side by side.
    return visit.kit_id == kit_id or kits.serves(db, kit_id, visit.tenant)
