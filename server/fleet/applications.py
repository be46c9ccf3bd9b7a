"""Sealed applications and the one state each of them is in; the fleet routes them and never opens one.

What was created is always the sum of all states: a row comes with the kit's word that it sealed, or with the
packet itself, whichever is first, and from then on only moves. A supplement has a row of its own and is
counted in the application it belongs to.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from protocol.ids import ulid_time
from protocol.lifecycle import ApplicationState, VisitState
from protocol.sealed.receipt import Receipt
from server.auth.roles import Actor
from server.db.tables import Application, Quarantined, Visit
from server.db.turns import take_turn
from server.fleet import custody, holdings, outbox, recaptures, stale, supplements, visits
from server.fleet.moving import move
from server.fleet.refused import Refused


@dataclass(frozen=True)
class Packet:
    """What the fleet learns of a packet from its outside, every check passed."""

    packet_id: str
    visit_id: str
    tenant: str
    service_id: str
    kit_id: str
    kit_cert_serial: str
    seq: int
    manifest_sha256: str
    size: int
    blob_sha256: str
    sealing: str  # protocol.custody.sealing: what the kit signed
    supplements: str = ""  # the application it brings parts of anew
    parts: tuple[str, ...] = ()  # and which


def announced(
    db: Session,
    packet_id: str,
    visit: Visit,
    kit_id: str,
    manifest_sha256: str,
    now: datetime,
    epoch: int | None = None,
) -> Application:
    """A kit says that it sealed an application: from now on it is counted. `epoch`: None from the packet
    itself, which does not say for which assignment of the visit it was made."""
    take_turn(db, packet_id)  # the kit's word and the packet itself may come at once
    application = db.get(Application, packet_id, with_for_update=True)
    if application is None:
        application = Application(
            packet_id=packet_id,
            tenant=visit.tenant,
            visit_id=visit.visit_id,
            service_id=visit.service_id,
            kit_id=kit_id,
            state=ApplicationState.SEALED,
            manifest_sha256=manifest_sha256,
            created=now,
            changed=now,
            reason="",
            supplements=asked.packet_id if (asked := recaptures.of_visit(db, visit)) else None,
        )
        db.add(application)
        holdings.begun(db, visit, kit_id, packet_id, ulid_time(packet_id), now)
    if application.epoch is None:
        application.epoch = epoch
    return application


def arrived(db: Session, packet: Packet, now: datetime) -> Application:
    """The packet is on our disk: count it as uploaded and see that it is forwarded. Once: a second time does
    nothing. Refused: unknown-visit, wrong-visit, wrong-supplement, packet-differs, sequence-used."""
    visit = db.get(Visit, packet.visit_id, with_for_update=True)
    if visit is None:
        raise Refused("unknown-visit")
    if visit.tenant != packet.tenant or visit.service_id != packet.service_id:
        raise Refused("wrong-visit")
    asked = recaptures.of_visit(db, visit)
    if (packet.supplements, packet.parts) != ((asked.packet_id, tuple(asked.parts)) if asked else ("", ())):
        raise Refused("wrong-supplement")
    application = announced(db, packet.packet_id, visit, packet.kit_id, packet.manifest_sha256, now)
    if application.kit_id != packet.kit_id or application.visit_id != packet.visit_id:
        raise Refused("packet-differs")
    if application.state != ApplicationState.SEALED:
        if application.manifest_sha256 != packet.manifest_sha256:
            raise Refused("packet-differs")
        return application
    same_place = select(Application.packet_id).where(
        Application.kit_id == packet.kit_id,
        Application.kit_cert_serial == packet.kit_cert_serial,
        Application.seq == packet.seq,
    )
    if db.scalar(same_place) is not None:
        raise Refused("sequence-used")
    application.manifest_sha256 = packet.manifest_sha256  # the packet is signed, the announcement was not
    application.kit_cert_serial, application.seq = packet.kit_cert_serial, packet.seq
    application.size, application.blob_sha256 = packet.size, packet.blob_sha256
    application.uploaded = now
    move(application, ApplicationState.UPLOADED, now)
    db.flush()
    custody.arrived(db, application, packet.sealing, now)
    why = stale.why(db, visit, packet.kit_id, application.epoch, packet.packet_id)
    if why is not None:
        stuck(application, f"stale-{why}", now)
        epoch = application.epoch or visit.epoch
        packet_id = packet.packet_id
        stale.keep(db, visit, packet.kit_id, why, epoch, VisitState.SEALED, now, packet_id=packet_id)
        return application
    visits.move(db, visit, VisitState.SEALED)
    outbox.put(db, "forward", packet.packet_id, now)
    return application


def offered(db: Session, application: Application, now: datetime) -> None:
    """The service has it and will answer later."""
    if application.state == ApplicationState.UPLOADED:
        move(application, ApplicationState.FORWARDED, now)
        custody.note(db, application, "forwarded", now)
        outbox.put_once(db, "doorbell", application.kit_id, now)  # its screen says where it is


def answered(db: Session, application: Application, receipt: Receipt, token: str, now: datetime) -> None:
    """The service's signed answer, verified and about this packet: kept for the kit, which is told."""
    state = ApplicationState(receipt.verdict)
    move(application, state, now)
    application.reason, application.receipt, application.answered = receipt.code, token, now
    custody.answered(db, application, token, now)
    outbox.put_once(db, "doorbell", application.kit_id, now)
    visit = db.get(Visit, application.visit_id, with_for_update=True)
    assert visit is not None  # a foreign key says so
    counts = _counts(db, application)
    closed = counts and visits.move(db, visit, VisitState.CLOSED, receipt.code)
    if closed and state is ApplicationState.REJECTED and not supplements.says_nothing(application, receipt):
        visits.reopen(db, visit)
    supplements.answered(db, application, receipt, visit, now, counts=counts)


def stuck(application: Application, reason: str, now: datetime) -> None:
    """Forwarding cannot go on by itself; a person decides."""
    move(application, ApplicationState.STUCK, now)
    application.reason = reason[:80]


def expired(db: Session, application: Application, now: datetime) -> None:
    """Ninety days were over before anybody answered: it exists no more, and its request can be planned."""
    move(application, ApplicationState.EXPIRED, now)
    application.reason = "hard-limit"
    visit = db.get_one(Visit, application.visit_id)
    if _counts(db, application):
        visits.move(db, visit, VisitState.CLOSED, "hard-limit")
        visits.reopen(db, visit)


def one(db: Session, packet_id: str) -> Application | None:
    """An application in the scope of the session."""
    return db.get(Application, packet_id)


def release(db: Session, actor: Actor, packet_id: str, now: datetime) -> None:
    """Let an application try again: a stuck one, or at once one that waits for its next try. Refused:
    not-allowed, unknown-application, undecided (it waits for a decision about its visit, and would be one
    without it), not-stuck."""
    if not actor.may("release"):
        raise Refused("not-allowed")
    application = db.get(Application, packet_id, with_for_update=True)
    if application is None:
        raise Refused("unknown-application")
    if undecided(db, [packet_id]):
        raise Refused("undecided")
    if application.state == ApplicationState.STUCK:
        send(db, application, now)
        about = (Quarantined.visit_id == application.visit_id, Quarantined.kit_id == application.kit_id)
        left = update(Quarantined).where(*about, Quarantined.decision == "leave")  # and is not left any more
        db.execute(left.values(decision="forward", decided=now, decided_by=actor.account_id[:26]))
    elif not outbox.hurry(db, "forward", packet_id, now):
        raise Refused("not-stuck")


def undecided(db: Session, packet_ids: Collection[str]) -> frozenset[str]:
    """Those of these that wait for somebody to decide about their visit."""
    rows = select(Quarantined.packet_id).where(
        Quarantined.packet_id.in_(packet_ids), Quarantined.decision == ""
    )
    return frozenset(db.scalars(rows))


def _counts(db: Session, application: Application) -> bool:
    """Whether what becomes of it becomes of its visit: not when somebody sent it on alone, or left it, for
    then what is planned stays planned."""
    alone = select(Quarantined.item_id).where(
        Quarantined.packet_id == application.packet_id, Quarantined.decision != "take"
    )
    return db.scalar(alone.limit(1)) is None


def send(db: Session, application: Application, now: datetime) -> None:
    """From stuck on its way again; one that is on its way stays so."""
    if application.state == ApplicationState.STUCK:
        move(application, ApplicationState.UPLOADED, now)
        application.reason = ""
        outbox.put(db, "forward", application.packet_id, now)


def counts(db: Session) -> dict[ApplicationState, int]:
    """How many are in each state, in the scope of the session; every state is named. A supplement is no
    application: it is counted in its own."""
    wholes = select(Application.state, func.count()).where(Application.supplements.is_(None))
    rows = db.execute(wholes.group_by(Application.state))
    found = {ApplicationState(state): count for state, count in rows}
    return {state: found.get(state, 0) for state in ApplicationState}


def newest(db: Session, limit: int = 100) -> list[Application]:
    """In the scope of the session: the stuck ones first, then the last changed."""
    stuck_first = (Application.state == ApplicationState.STUCK).desc()
    return list(
        db.scalars(select(Application).order_by(stuck_first, Application.changed.desc()).limit(limit))
    )
