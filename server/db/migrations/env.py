"""What Alembic runs: the revisions, on the engine that `server.db.schema.migrate` hands over."""

from alembic import context
from sqlalchemy import Engine, func, select

from server.db import tenancy
from server.db.scope import EVERYONE, SETTING, written
from server.db.tables import Base

_engine: Engine = context.config.attributes["engine"]
with _engine.execution_options(thuisloket_writes=True).connect() as connection:
    # SQLite cannot change a column in place: batch mode makes a new table and copies.
    context.configure(connection, target_metadata=Base.metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        if _engine.dialect.name == "postgresql":
            # Moves of data meet the policies of the revision before: they are for everyone.
            connection.execute(select(func.set_config(SETTING, written(EVERYONE), True)))
        context.run_migrations()
        if _engine.dialect.name == "postgresql":
            tenancy.protect(connection, context.config.attributes["user"])
