"""Many rows at once, past the unit of work: for the ingest, whose time is counted in microseconds a row.

Only in sessions for everyone, as nothing here looks at whose rows they are, and only for tables of nobody.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from server.db.scope import ForeignTenant
from server.db.tables import Base, OfTenant

KEY = "key_"  # names of columns are taken


def insert_rows(db: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Every mapping has the same keys: columns of `model`."""
    if rows:
        db.connection().execute(insert(_table(db, model)), list(rows))
        db.info["changed"] = True


def update_rows(db: Session, model: type[Base], rows: Mapping[str, Mapping[str, Any]]) -> None:
    """By the value of the one primary key. Every mapping has the same keys: the columns to set."""
    if not rows:
        return
    table = _table(db, model)
    (key,) = table.primary_key.columns
    names = next(iter(rows.values())).keys()
    statement = update(table).where(key == bindparam(KEY)).values({name: bindparam(name) for name in names})
    # In one order: two workers that meet in the same rows must not wait for each other.
    db.connection().execute(statement, [{KEY: at, **rows[at]} for at in sorted(rows)])
    db.info["changed"] = True


def reserve(db: Session, model: type[Base], count: int) -> Sequence[int]:
    """`count` values for the primary key, a growing number, that are ours alone."""
    table = _table(db, model)
    (key,) = table.primary_key.columns
    if db.get_bind().dialect.name == "sqlite":  # the writer is alone
        first = int(db.connection().scalar(select(func.coalesce(func.max(key), 0))) or 0) + 1
        return range(first, first + count)
    number = func.nextval(f"{table.name}_{key.name}_seq")
    return sorted(db.connection().scalars(select(number).select_from(func.generate_series(1, count))))


def _table(db: Session, model: type[Base]) -> Table:
    if db.info["scope"].tenants is not None or issubclass(model, OfTenant):
        raise ForeignTenant("many rows at once are for tables of nobody, in a session for everyone")
    table = model.__table__
    assert isinstance(table, Table)
    return table
