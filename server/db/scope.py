"""Whose citizens a session may see and write: every session is bound to a scope, and every query obeys it.

Only ORM statements are filtered. A Core select on a `Table` would leak, so nobody outside this room may use
`__table__` or `text(` (tests/server/db/test_tenancy.py looks for them); on PostgreSQL row-level security
stands behind all of it (server/db/tenancy.py).
"""

from dataclasses import dataclass

from sqlalchemy import Connection, event
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, UOWTransaction, with_loader_criteria
from sqlalchemy.orm.attributes import get_history

from server.db import direct
from server.db.tables.shape import OfTenant


class ForeignTenant(Exception):
    """Code tried to write a row of a municipality outside its session's scope: a bug, never an answer."""


@dataclass(frozen=True)
class Scope:
    """The municipalities a session works for; None means all of them (workers, whole-fleet figures)."""

    tenants: frozenset[str] | None

    def holds(self, tenant: str) -> bool:
        return self.tenants is None or tenant in self.tenants


EVERYONE = Scope(None)
SETTING = "app.tenant"  # what PostgreSQL's row-level security goes by


def only(*tenants: str) -> Scope:
    return Scope(frozenset(tenants))


def written(scope: Scope) -> str:
    """The scope as SETTING spells it."""
    return "*" if scope.tenants is None else ",".join(sorted(scope.tenants))


class ScopedSession(Session):
    """A session with `info["scope"]` and, for a reading one, `info["reading"]`."""


@event.listens_for(ScopedSession, "after_begin")
def _say_whose(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    """For this transaction only: a connection that goes back to the pool knows nothing any more."""
    del transaction
    if connection.dialect.name == "postgresql":
        with direct.together(connection) as driver:  # with the BEGIN that psycopg sends before it
            driver.execute("SELECT set_config(%s, %s, true)", (SETTING, written(session.info["scope"])))


@event.listens_for(ScopedSession, "do_orm_execute")
def _see_only_own(state: ORMExecuteState) -> None:
    scope: Scope = state.session.info["scope"]
    if state.session.info["reading"] and not state.is_select:
        raise RuntimeError("a reading session was asked to write")
    if scope.tenants is None:
        return
    if state.is_insert:
        # A bulk insert passes no unit of work, so nothing could check the tenant of its rows.
        raise ForeignTenant("bulk insert in a session of one municipality")
    tenants = tuple(sorted(scope.tenants))
    state.statement = state.statement.options(
        with_loader_criteria(OfTenant, lambda row: row.tenant.in_(tenants), include_aliases=True)
    )


@event.listens_for(ScopedSession, "before_flush")
def _write_only_own(session: Session, context: UOWTransaction, instances: object) -> None:
    del context, instances
    scope: Scope = session.info["scope"]
    if session.info["reading"] and (session.new or session.dirty or session.deleted):
        raise RuntimeError("a reading session was asked to write")
    for row in (*session.new, *session.dirty, *session.deleted):
        if not isinstance(row, OfTenant):
            continue
        moved = row in session.dirty and bool(get_history(row, "tenant").deleted)
        if moved or not scope.holds(row.tenant):
            raise ForeignTenant(f"{type(row).__name__} outside the scope of the session")
