"""Many rows at once, past the unit of work and SQLAlchemy: for the ingest, whose time is counted in
microseconds a row.

Only in sessions for everyone, as nothing here looks at whose rows they are, and only for tables of nobody. A
row is a tuple in the order of `columns`; a JSON column takes its text.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table, func, select
from sqlalchemy.orm import Session

from server.db.scope import ForeignTenant
from server.db.tables import Base, OfTenant
from server.db.tables.shape import Instant

Row = tuple[Any, ...]


def insert_rows(db: Session, model: type[Base], columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Added, on PostgreSQL by COPY."""
    if not rows:
        return
    table, connection = _table(db, model), db.connection()
    names = ", ".join(columns)
    if _on_sqlite(db):
        statement = f"INSERT INTO {table.name} ({names}) VALUES ({_marks(columns)})"  # noqa: S608 (our names)
        connection.exec_driver_sql(statement, _spelled(table, columns, rows, _for_sqlite))
    else:
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for row in _spelled(table, columns, rows, _for_postgresql):
                copy.write_row(row)
    db.info["changed"] = True


def update_rows(db: Session, model: type[Base], columns: Sequence[str], rows: Iterable[Row]) -> None:
    """The first of `columns` is the one primary key, the others are set."""
    # In one order: two workers that meet in the same rows must not wait for each other.
    ordered = sorted(rows, key=lambda row: row[0])
    if not ordered:
        return
    table, connection = _table(db, model), db.connection()
    key, *others = columns
    if _on_sqlite(db):
        marks = ", ".join(f"{name} = ?" for name in others)
        statement = f"UPDATE {table.name} SET {marks} WHERE {key} = ?"  # noqa: S608 (our names)
        turned = [(*row[1:], row[0]) for row in ordered]
        connection.exec_driver_sql(statement, _spelled(table, (*others, key), turned, _for_sqlite))
    else:
        dialect = connection.dialect
        arrays = ", ".join(f"%s::{table.c[name].type.compile(dialect)}[]" for name in columns)
        sets = ", ".join(f"{name} = said.{name}" for name in others)
        statement = (
            f"UPDATE {table.name} SET {sets} FROM unnest({arrays}) AS said ({', '.join(columns)}) "  # noqa: S608
            f"WHERE {table.name}.{key} = said.{key}"
        )
        connection.exec_driver_sql(statement, tuple(list(each) for each in zip(*ordered, strict=True)))
    db.info["changed"] = True


def reserve(db: Session, model: type[Base], count: int) -> Sequence[int]:
    """`count` values for the primary key, a growing number, that are ours alone."""
    table = _table(db, model)
    (key,) = table.primary_key.columns
    if _on_sqlite(db):  # the writer is alone
        first = int(db.connection().scalar(select(func.coalesce(func.max(key), 0))) or 0) + 1
        return range(first, first + count)
    number = func.nextval(f"{table.name}_{key.name}_seq")
    drawn = select(func.array_agg(number)).select_from(func.generate_series(1, count))
    return sorted(db.connection().scalar(drawn) or ())


def _table(db: Session, model: type[Base]) -> Table:
    if db.info["scope"].tenants is not None or issubclass(model, OfTenant):
        raise ForeignTenant("many rows at once are for tables of nobody, in a session for everyone")
    table = model.__table__
    assert isinstance(table, Table)
    return table


def _on_sqlite(db: Session) -> bool:
    return db.get_bind().dialect.name == "sqlite"


def _marks(columns: Sequence[str]) -> str:
    return ", ".join("?" * len(columns))


def _spelled(
    table: Table, columns: Sequence[str], rows: Sequence[Row], spell: Callable[[datetime], str]
) -> list[Row]:
    """The values as the database takes them at once: only instants have a form of their own. A batch has few
    that differ, and a driver would spell each of them anew."""
    turned: list[Sequence[Any]] = list(zip(*rows, strict=True))
    for place, name in enumerate(columns):
        if isinstance(table.c[name].type, Instant):
            texts = {value: None if value is None else spell(value) for value in set(turned[place])}
            turned[place] = [texts[value] for value in turned[place]]
    return list(zip(*turned, strict=True))


def _for_postgresql(value: datetime) -> str:
    return value.isoformat()


def _for_sqlite(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
