"""The chain of custody as the fleet keeps it: a step is written in the transaction of the fact it tells,
linked to the step before it; the worker signs it a moment later, so that only the worker needs the key.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol import canonical
from protocol.custody import FIRST, Chain, Name, Step, digest, sha256, sign_step
from protocol.custodycheck import Judged, Trust, judge
from protocol.instant import write_instant
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.db.tables import Application, CustodyDocument, CustodyStep, Holding
from server.db.turns import take_turn
from server.fleet import outbox
from server.fleet.outbox import Claim
from server.fleet.refused import Refused

PLACES = ("committed", "forwarded", "answered", "deleted")
RECENT, MOST_PLACES = timedelta(days=3), 400


def note(db: Session, application: Application, name: Name, now: datetime, evidence: str = "") -> bool:
    """The next step of an application that has arrived. Once each: a second time does nothing."""
    take_turn(db, f"custody {application.packet_id}")
    before = _steps(db, application.packet_id)
    if any(row.step == name for row in before) or (not before and name != "sealed"):
        return False
    step = Step(
        packet_id=application.packet_id,
        manifest_sha256=application.manifest_sha256,
        n=len(before) + 1,
        prev=digest(_step(before[-1])) if before else FIRST,
        step=name,
        at=write_instant(now),
        evidence=sha256(evidence) if evidence else "",
    )
    if evidence:
        _keep(db, application, evidence)
    db.add(
        CustodyStep(
            packet_id=application.packet_id,
            n=step.n,
            tenant=application.tenant,
            step=name,
            at=now,
            content=canonical.dumps(msgspec.to_builtins(step)).decode(),
        )
    )
    db.flush()
    outbox.put_once(db, "custody", application.packet_id, now)
    return True


def arrived(db: Session, application: Application, sealing: str, now: datetime) -> None:
    """The packet is here: the kit's own word that it sealed it, our commit, and what it destroyed before."""
    note(db, application, "sealed", now, sealing)
    note(db, application, "committed", now)
    captures = db.get(Holding, (application.kit_id, application.visit_id, ""))
    if captures is not None and captures.certificate:
        note(db, application, "erased", now, captures.certificate)


def answered(db: Session, application: Application, token: str, now: datetime) -> None:
    """An answer that came at once was forwarded all the same."""
    note(db, application, "forwarded", now)
    note(db, application, "answered", now, token)


def destroyed(db: Session, kit_id: str, visit_id: str, packet_id: str, token: str, now: datetime) -> None:
    """The kit's certificate, for the application it is about, if that has arrived."""
    query = select(Application).where(Application.visit_id == visit_id, Application.kit_id == kit_id)
    for application in db.scalars(query):
        if packet_id in ("", application.packet_id):
            note(db, application, "deleted" if packet_id else "erased", now, token)


@dataclass(frozen=True)
class Custodian:
    """Signs what waits. `lists`: each line's signed recipient list, which names its receipt keys: by service
    id, or `service id/tenant` for a municipality with its own arrangement."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    chain: Sequence[x509.Certificate]
    lists: dict[str, Path]

    def sign(self, database: Database, claim: Claim, now: datetime) -> str:
        """Sign the steps of one application; a code for the log."""
        with database.writing(EVERYONE) as db:
            if not outbox.done(db, claim):
                return "lease-lost"
            application = db.get(Application, claim.subject, with_for_update=True)
            if application is None:
                return "unknown-application"
            waiting = [row for row in _steps(db, claim.subject) if row.token is None]
            for row in waiting:
                own = f"{application.service_id}/{application.tenant}"
                path = self.lists.get(own, self.lists.get(application.service_id))
                if row.step == "answered" and path is not None:
                    _keep(db, application, path.read_text("ascii").strip())
                row.token = sign_step(_step(row), write_instant(max(now, row.at)), self.key, self.chain)
        return f"signed-{len(waiting)}"


def chain(db: Session, packet_id: str) -> Chain:
    """The chain of an application in the scope of the session, as a file. Refused: unknown-application,
    not-signed-yet."""
    if db.get(Application, packet_id) is None:
        raise Refused("unknown-application")
    rows = _steps(db, packet_id)
    tokens = tuple(row.token for row in rows if row.token is not None)
    if len(tokens) < len(rows):
        raise Refused("not-signed-yet")
    documents = select(CustodyDocument).where(CustodyDocument.packet_id == packet_id)
    texts = [row.text for row in db.scalars(documents.order_by(CustodyDocument.sha256))]
    return Chain(packet_id=packet_id, steps=tokens, documents=tuple(texts))


def due(db: Session, packet_id: str) -> tuple[Name, ...]:
    """The steps that must be there, by what else the fleet knows of the application."""
    row = db.get_one(Application, packet_id)
    gone = db.get(Holding, (row.kit_id, row.visit_id, packet_id))
    told: list[tuple[Name, bool]] = [
        ("sealed", row.uploaded is not None),
        ("committed", row.uploaded is not None),
        ("answered", row.receipt is not None),
        ("deleted", row.uploaded is not None and gone is not None and gone.ended is not None),
    ]
    return tuple(name for name, must in told if must)


@dataclass(frozen=True)
class Audit:
    """A chain as it was judged. `missing`: the steps that should be there and are not."""

    chain: Chain
    judged: Judged
    missing: tuple[Name, ...]

    @property
    def sound(self) -> bool:
        return self.judged.sound and not self.missing


def audit(chain: Chain, trust: Trust, due: Sequence[Name] = ()) -> Audit:
    """Every step judged, and whether all that are `due` are there."""
    judged = judge(chain, trust)
    return Audit(chain, judged, tuple(name for name in due if name not in judged.names))


def told(db: Session, packet_id: str) -> list[tuple[str, datetime]]:
    """The steps so far, by name and time."""
    return [(row.step, row.at) for row in _steps(db, packet_id)]


def whereabouts(db: Session, kit_id: str, now: datetime) -> dict[str, tuple[str, datetime]]:
    """The last hand-over of each of a kit's applications that moved in these days, by packet id."""
    query = (
        select(CustodyStep.packet_id, CustodyStep.step, CustodyStep.at)
        .join(Application, Application.packet_id == CustodyStep.packet_id)
        .where(Application.kit_id == kit_id, CustodyStep.at > now - RECENT, CustodyStep.step.in_(PLACES))
        .order_by(CustodyStep.packet_id.desc(), CustodyStep.n)
        .limit(MOST_PLACES)
    )
    return {packet_id: (step, at) for packet_id, step, at in db.execute(query)}


def _steps(db: Session, packet_id: str) -> Sequence[CustodyStep]:
    query = select(CustodyStep).where(CustodyStep.packet_id == packet_id)
    return db.scalars(query.order_by(CustodyStep.n)).all()


def _step(row: CustodyStep) -> Step:
    return msgspec.convert(canonical.loads(row.content.encode()), Step)


def _keep(db: Session, application: Application, text: str) -> None:
    name = sha256(text)
    if db.get(CustodyDocument, (application.packet_id, name)) is None:
        db.add(
            CustodyDocument(
                packet_id=application.packet_id, sha256=name, tenant=application.tenant, text=text
            )
        )
        db.flush()
