"""Saying at its commit that a transaction changed something, and which queues it put work in.

On PostgreSQL by NOTIFY, for `server.db.listening`; SQLite has no such thing. Without psycopg, whose import
takes as long as many a command: this is for all who write.
"""

from sqlalchemy import event, func, select
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction

from server.db.scope import ScopedSession

CHANNEL = "thuisloket"


def announce(session: Session, what: str) -> None:
    """Tell listeners at the commit of this transaction; `what` is the name of a queue."""
    session.info.setdefault("announced", set()).add(what)


@event.listens_for(ScopedSession, "after_flush")
def _flushed(session: Session, context: UOWTransaction) -> None:
    del context
    session.info["changed"] = True


@event.listens_for(ScopedSession, "do_orm_execute")
def _executed(state: ORMExecuteState) -> None:
    if not state.is_select:
        state.session.info["changed"] = True


@event.listens_for(ScopedSession, "before_commit")
def _tell(session: Session) -> None:
    """NOTIFY is part of the transaction: heard once it is committed, and never when it is not."""
    session.flush()
    if session.get_bind().dialect.name != "postgresql" or not session.info.pop("changed", False):
        return
    for queue in sorted(session.info.pop("announced", {"-"})):
        session.execute(select(func.pg_notify(CHANNEL, queue)))
