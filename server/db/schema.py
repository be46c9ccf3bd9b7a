"""Which shape the database has, and bringing it to the one this program needs."""

from pathlib import Path

from sqlalchemy import inspect, text

from server.db import tenancy
from server.db.engine import Database

HEAD = "0014"  # the newest revision in migrations/versions (a test compares)
MIGRATIONS = Path(__file__).with_name("migrations")


class NotMigrated(Exception):
    """The database has another shape than this program needs; `found` is its revision, "" when empty."""

    def __init__(self, found: str) -> None:
        super().__init__(f"database at revision {found or 'none'}, this program needs {HEAD}")
        self.found = found


def revision(database: Database) -> str:
    """The revision the database is at, "" when it is empty."""
    with database.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return ""
        return str(
            connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none() or ""
        )


def check(database: Database) -> None:
    """NotMigrated unless the database has the shape this program needs; tenancy.Unguarded unless PostgreSQL
    keeps municipalities apart for us."""
    found = revision(database)
    if found != HEAD:
        raise NotMigrated(found)
    if database.postgresql:
        with database.engine.connect() as connection:
            tenancy.check(connection)


def migrate(database: Database, user: str | None = None) -> str:
    """Bring the database to HEAD; the revision it had before. All steps are one transaction.

    `user`: the role that may work with what `database`'s role owns (PostgreSQL)."""
    # Alembic is 0.2 s of imports, and only this command needs it.
    from alembic import command
    from alembic.config import Config

    before = revision(database)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["engine"] = database.engine
    config.attributes["user"] = user
    command.upgrade(config, "head")
    return before
