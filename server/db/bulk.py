"""Many rows at once, past the unit of work and SQLAlchemy: for the ingest, whose time is counted in
microseconds a row.

Only in sessions for everyone, as nothing here looks at whose rows they are, and only for tables of nobody. A
row is a tuple in the order of `columns`; a JSON column takes its text.

On PostgreSQL what counts is how often the two wait for each other: each time somebody else may get the
processor. And a list is written here as the text of an array, in a tenth of the time that psycopg takes.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table, func, select
from sqlalchemy.orm import Session

from server.db import direct
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
        into = f"COPY {table.name} ({names}) FROM STDIN"
        with direct.driver(connection) as driver, driver.cursor() as cursor, cursor.copy(into) as copy:
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
        spelled = _spelled(table, columns, ordered, _for_postgresql)
        connection.exec_driver_sql(statement, tuple(map(_array, zip(*spelled, strict=True))))
    db.info["changed"] = True


def lock_rows(
    db: Session,
    model: type[Base],
    columns: Sequence[str],
    keys: Iterable[str],
    numbered: type[Base],
    count: int,
) -> tuple[Sequence[Row], Sequence[int]]:
    """The rows with these primary keys, locked for this transaction, in one order for all workers; and
    `count` values for the primary key of `numbered`, a growing number, that are ours alone."""
    ordered, connection = sorted(keys), db.connection()
    table, other = _table(db, model), _table(db, numbered)
    (key,), (number,) = table.primary_key.columns, other.primary_key.columns
    if _on_sqlite(db):  # the writer is alone
        wanted = select(*(table.c[name] for name in columns)).where(key.in_(ordered)).order_by(key)
        first = int(connection.scalar(select(func.coalesce(func.max(number), 0))) or 0) + 1
        return [tuple(row) for row in connection.execute(wanted)], range(first, first + count)
    rows = (
        f"SELECT {', '.join(columns)} FROM {table.name} WHERE {key.name} = ANY(%s::text[]) "  # noqa: S608 (our names)
        f"ORDER BY {key.name} FOR UPDATE"
    )
    numbers = "SELECT nextval(%s) FROM generate_series(1, %s)"
    with direct.together(connection) as driver:
        locked = driver.execute(rows, (_array(ordered),))
        drawn = driver.execute(numbers, (f"{other.name}_{number.name}_seq", count))
    return locked.fetchall(), sorted(each for (each,) in drawn)


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


def _array(values: Iterable[object]) -> str:
    """As PostgreSQL reads an array (its documentation, 8.15.2)."""
    return "{" + ",".join(["NULL" if value is None else _quoted(str(value)) for value in values]) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _for_postgresql(value: datetime) -> str:
    return value.isoformat()


def _for_sqlite(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
