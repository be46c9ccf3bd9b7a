"""What Alembic runs: the revisions, on the engine that `server.db.schema.migrate` hands over."""

from alembic import context
from sqlalchemy import Engine

from server.db.tables import Base

_engine: Engine = context.config.attributes["engine"]
with _engine.execution_options(thuisloket_writes=True).connect() as connection:
    # SQLite cannot change a column in place: batch mode makes a new table and copies.
    context.configure(connection, target_metadata=Base.metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()
