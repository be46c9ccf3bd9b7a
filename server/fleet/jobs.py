"""Jobs: named actions that a kit is asked to do once, however long it takes until it is online.

An administrator gives one, the worker signs it, a doorbell rings, the kit asks and is told all that waits for
it. What was told is leased: without word of the kit it is offered again, the same job by the same id, and the
kit does it once. The kit's word is the truth, also after we have given a job up.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, cast

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from protocol.command import ACTIONS, Action, Command, sign_command
from protocol.ids import new_ulid
from protocol.instant import write_instant
from protocol.messages import JobEvent
from server.auth.roles import Actor
from server.db.tables import Kit, KitJob
from server.db.turns import take_turn
from server.fleet import incidents, kits, outbox
from server.fleet.bags import Sealer
from server.fleet.refused import Refused

State = Literal[
    "waiting", "offered", "accepted", "running", "done", "failed", "refused", "expired", "cancelled"
]
RANK: Mapping[str, int] = {
    "waiting": 0, "offered": 1, "accepted": 2, "running": 3,
    "expired": 4, "cancelled": 4,  # given up by us: a word of the kit that it is over counts more
    "done": 5, "failed": 5, "refused": 5,
}  # fmt: skip
OPEN: tuple[State, ...] = ("waiting", "offered", "accepted", "running")
USUAL, LONGEST = timedelta(days=30), timedelta(days=90)
ANSWERED, WORKED = timedelta(seconds=60), timedelta(minutes=15)
"""How long without a word: until the kit has it, and until it is over."""
MOST = 16  # open ones a kit: all fit into one answer
KEPT = timedelta(days=400)


def give(
    db: Session, actor: Actor, kit_id: str, action: str, now: datetime, life: timedelta = USUAL
) -> KitJob:
    """A new job for a kit in the scope of `db`.

    Refused: not-allowed, unknown-kit, kit-retired, unknown-action, bad-end, too-many-jobs."""
    if not actor.may("steer"):
        raise Refused("not-allowed")
    kit = kits.visible_one(db, kit_id)
    if kit.retired is not None:
        raise Refused("kit-retired")
    if action not in ACTIONS:
        raise Refused("unknown-action")
    if not timedelta(minutes=1) <= life <= LONGEST:
        raise Refused("bad-end")
    take_turn(db, f"job {kit_id}")
    if len(_open(db, kit_id)) >= MOST:
        raise Refused("too-many-jobs")
    # By the clock, and above the last: a database put back from a backup does not begin again at an old one.
    last = db.scalar(select(func.max(KitJob.counter)).where(KitJob.kit_id == kit_id)) or 0
    job = KitJob(
        job=new_ulid(),
        kit_id=kit_id,
        counter=max(last + 1, int(now.timestamp() * 1000)),
        action=action,
        given_by=actor.name[:64],
        issued=now,
        not_after=now + life,
        token="",
        state="waiting",
        code="",
        changed=now,
        offers=0,
    )
    db.add(job)
    db.flush()
    outbox.put(db, "steer", kit_id, now, body=f"job {job.job}")
    return job


def cancel(db: Session, actor: Actor, job_id: str, now: datetime) -> None:
    """Offer it no more. Refused: not-allowed, unknown-job, job-begun (the kit has it, or it is over)."""
    if not actor.may("steer"):
        raise Refused("not-allowed")
    job = db.get(KitJob, job_id, with_for_update=True)
    if job is None:
        raise Refused("unknown-job")
    try:
        kits.visible_one(db, job.kit_id)
    except Refused as problem:
        raise Refused("unknown-job") from problem
    if RANK[job.state] >= RANK["accepted"]:
        raise Refused("job-begun")
    _set(job, "cancelled", "", now)


def of_kit(db: Session, kit_id: str, limit: int = 20) -> list[KitJob]:
    """The newest first."""
    query = select(KitJob).where(KitJob.kit_id == kit_id).order_by(KitJob.job.desc()).limit(limit)
    return list(db.scalars(query))


def sign(db: Session, sealer: Sealer, job_id: str, now: datetime) -> str:
    """Make the command of a job, and ring for it; what became of it, a code."""
    job = db.get(KitJob, job_id, with_for_update=True)
    if job is None or job.state not in OPEN or job.token:
        return "nothing-to-sign"
    command = Command(
        v=1,
        kit_id=job.kit_id,
        job=job.job,
        counter=job.counter,
        issued=write_instant(job.issued),
        not_after=write_instant(job.not_after),
        action=cast(Action, job.action),
    )
    job.token = sign_command(command, sealer.key, sealer.kid)
    ring(db, job.kit_id, now)
    return "signed"


def ring(db: Session, kit_id: str, now: datetime) -> None:
    outbox.put_once(db, "doorbell", kit_id, now, "jobs")


def offer(db: Session, kit_id: str, now: datetime) -> Sequence[str]:
    """The commands that a kit which asks is told: oldest first, leased from now on.

    Also what was offered before and not accepted: it asks because it has not got it."""
    if kits.active(db, kit_id) is None:
        return ()
    told = []
    for job in _open(db, kit_id):
        held = job.state in ("accepted", "running") and job.lease_until is not None and job.lease_until > now
        if not job.token or held or job.not_after <= now:
            continue
        if job.state == "waiting":
            _set(job, "offered", "", now)
        job.lease_until, job.offers = now + ANSWERED, job.offers + 1
        told.append(job.token)
    return told


def heard(db: Session, kit_id: str, body: JobEvent, now: datetime) -> str:
    """A kit's word on a job; a code for what became of it. A job never goes back."""
    job = db.get(KitJob, body.job, with_for_update=True)
    if job is None or job.kit_id != kit_id:
        # Somebody told the kit to do what we never asked: it refused, and an administrator should know.
        incidents.report(db, kit_id, "command-unknown", body.job, body.code or body.state, now)
        return "unknown-job"
    if body.state not in RANK:
        return "job-state-unknown"
    if RANK[body.state] <= RANK[job.state]:
        return "old-news"
    _set(job, cast(State, body.state), body.code, now)
    job.lease_until = now + WORKED if job.state in OPEN else None
    return f"job-{body.state}"


def sweep(db: Session, now: datetime) -> None:
    """What is past its end is given up, unless the kit has it; what was offered in vain is rung for again;
    what is long over is forgotten, but for the newest of each kit."""
    # A kit that has accepted a job judges its end by itself, and may be telling us yet.
    late = select(KitJob).where(KitJob.state.in_(("waiting", "offered")), KitJob.not_after <= now)
    silent = select(KitJob).where(KitJob.state.in_(("accepted", "running")), KitJob.not_after <= now - WORKED)
    for job in (*db.scalars(late), *db.scalars(silent)):
        _set(job, "expired", "", now)
    here = select(Kit.kit_id).where(Kit.presence == "online", Kit.retired.is_(None))
    vain = select(KitJob.kit_id).where(
        KitJob.state.in_(OPEN), KitJob.lease_until < now, KitJob.kit_id.in_(here)
    )
    for kit_id in db.scalars(vain.distinct()).all():
        ring(db, kit_id, now)
    newest = select(func.max(KitJob.job)).group_by(KitJob.kit_id)
    db.execute(
        delete(KitJob).where(
            KitJob.state.not_in(OPEN), KitJob.changed < now - KEPT, KitJob.job.not_in(newest)
        )
    )


def _open(db: Session, kit_id: str) -> list[KitJob]:
    query = select(KitJob).where(KitJob.kit_id == kit_id, KitJob.state.in_(OPEN)).order_by(KitJob.counter)
    return list(db.scalars(query.with_for_update()))


def _set(job: KitJob, state: State, code: str, now: datetime) -> None:
    job.state, job.code, job.changed, job.lease_until = state, code, now, None
