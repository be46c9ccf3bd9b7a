"""What kits ask over MQTT, and the answers: put down with the question, made up when they are sent."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.messages import AskJobs, AskTime, AskTwin, Body, JobsAnswer, TimeAnswer, TwinAnswer, instant
from protocol.topics import Tail
from server.db.tables import OutboxRow
from server.fleet import jobs, outbox, twins

Question = AskJobs | AskTwin | AskTime
_NAMES: dict[type[Question], str] = {AskJobs: "jobs", AskTwin: "twin", AskTime: "time"}


def asked(db: Session, kit_id: str, question: Question, now: datetime) -> None:
    """One answer of a kind waits for a kit at most: the newest question is the one it still listens for."""
    subject = f"{kit_id} {_NAMES[type(question)]}"
    waiting = select(OutboxRow).where(
        OutboxRow.queue == "answer", OutboxRow.subject == subject, OutboxRow.lease_until.is_(None)
    )
    row = db.scalars(waiting.limit(1).with_for_update()).first()
    if row is None:
        outbox.put(db, "answer", subject, now, question.corr)
    else:
        row.body = question.corr


def answer(db: Session, subject: str, corr: str, now: datetime) -> tuple[str, Tail, Body]:
    """The kit, and what it is told."""
    kit_id, name = subject.split(" ")
    if name == "jobs":
        return kit_id, Tail.ANSWER_JOBS, JobsAnswer(corr, tuple(jobs.offer(db, kit_id, now)))
    if name == "twin":
        return kit_id, Tail.ANSWER_TWIN, TwinAnswer(corr, twins.document(db, kit_id))
    return kit_id, Tail.ANSWER_TIME, TimeAnswer(corr, instant(now))
