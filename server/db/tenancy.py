"""Row-level security on PostgreSQL: the second wall behind `server/db/scope.py`.

Every table of `OfTenant` gets the same policy, by itself, at each migration: a row is there only for a
transaction that set `app.tenant` to its municipality (or to several, with commas, or to `*`: workers). A
transaction that set nothing sees nothing. FORCE binds the owner of the tables too; the role the programs run
as may neither be superuser nor bypass the policies, which they check at start.
"""

from sqlalchemy import Connection, Table, text

from server.db.scope import EVERYONE, SETTING, written
from server.db.tables import Base, OfTenant

POLICY = "of_tenant"
# In a subselect it is worked out once a query, not once a row.
_SETTING = f"(SELECT current_setting('{SETTING}', true))"
_RULE = f"{_SETTING} = '{written(EVERYONE)}' OR tenant = ANY (string_to_array({_SETTING}, ','))"


class Unguarded(Exception):
    """The role of the database URL is not held by row-level security, or a table has none; says which."""


def tenant_tables() -> list[str]:
    """The names of all tables whose rows belong to a municipality."""
    tables = [mapper.local_table for mapper in Base.registry.mappers if issubclass(mapper.class_, OfTenant)]
    return sorted(table.name for table in tables if isinstance(table, Table))


def protect(connection: Connection, user: str | None) -> None:
    """Give every tenant table its policy, and the role `user` the right to work with rows but not with
    tables. Run by the owner of the tables; doing it again changes nothing."""
    quoted = connection.dialect.identifier_preparer.quote
    for name in tenant_tables():
        table = quoted(name)
        connection.execute(text(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"))
        connection.execute(text(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"))
        connection.execute(text(f"DROP POLICY IF EXISTS {POLICY} ON {table}"))
        connection.execute(
            text(f"CREATE POLICY {POLICY} ON {table} FOR ALL USING ({_RULE}) WITH CHECK ({_RULE})")
        )
    if user is not None:
        role = quoted(user)
        for right in (
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
            f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
            f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {role}",
        ):
            connection.execute(text(right))


def check(connection: Connection) -> None:
    """Unguarded unless policies hold for whom we are signed in as."""
    strong = connection.scalar(
        text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
    )
    if strong:
        raise Unguarded("this role passes by row-level security; use one with NOSUPERUSER NOBYPASSRLS")
    guarded = connection.scalars(
        text(
            "SELECT relname FROM pg_class JOIN pg_policy ON polrelid = pg_class.oid"
            " WHERE relrowsecurity AND relforcerowsecurity AND polname = :policy"
        ),
        {"policy": POLICY},
    )
    if bare := sorted(set(tenant_tables()) - set(guarded)):
        raise Unguarded(f"tables without row-level security: {', '.join(bare)}; run migrate")
