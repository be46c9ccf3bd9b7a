"""PostgreSQL's driver itself, where an exchange more with the server counts. It fails as SQLAlchemy does.

Each exchange lets somebody else have the processor, and on a busy machine it takes milliseconds until one has
it back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


@contextmanager
def driver(connection: Connection) -> Iterator[Any]:
    """psycopg's connection, for the transaction that `connection` is in."""
    dbapi = connection.dialect.loaded_dbapi
    held: Any = connection.connection.driver_connection
    try:
        yield held
    except dbapi.Error as problem:
        lost = connection.dialect.is_disconnect(problem, held, None)
        if lost:
            connection.invalidate(problem)
        raise DBAPIError.instance(
            None, None, problem, dbapi.Error, True, lost, connection.dialect
        ) from problem


@contextmanager
def together(connection: Connection) -> Iterator[Any]:
    """The same; what is executed in the block goes to the server at its end, all in one. Results are there
    from then on."""
    with driver(connection) as held, held.pipeline():
        yield held
