"""PostgreSQL keeps municipalities apart by itself, tells of commits, and lets one process lead."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from server.db import schema, tenancy
from server.db.engine import Database, read_url
from server.db.listening import Bell
from server.db.scope import EVERYONE, Scope, only
from server.db.tables import Base, Request
from server.db.turns import Leader, take_turn, whole
from server.fleet import outbox
from tests.mosquitto import until
from tests.postgresql import OWNER, Postgresql
from tests.server.engines import POSTGRESQL
from tests.server.town import BRUGGE, DAMME, Town


@pytest.fixture
def engine() -> str:
    return POSTGRESQL


def count(town: Town, scope: Scope) -> int:
    """How many requests a statement sees that the session does not filter."""
    with town.database.reading(scope) as db:
        return int(db.connection().scalar(text("SELECT count(*) FROM request")) or 0)


def test_a_statement_that_forgot_its_municipality_sees_its_own_all_the_same(town: Town) -> None:
    town.ask()
    town.ask(postcode="8340", municipality="Damme")
    seen = [count(town, scope) for scope in (only(BRUGGE), only(BRUGGE, DAMME), EVERYONE, only("0207000000"))]
    assert seen == [1, 2, 2, 0]


def test_a_connection_that_said_nothing_sees_nothing(town: Town) -> None:
    town.ask()
    assert count(town, EVERYONE) == 1  # and leaves its connection in the pool
    with town.database.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM request")) == 0
        assert connection.scalar(text("SELECT current_setting('app.tenant', true)")) in (None, "")


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO officer (officer_id, name, tenant) VALUES ('eve.x', 'Eve', '{BRUGGE}')",
        f"UPDATE officer SET tenant = '{BRUGGE}' WHERE officer_id = 'cis.maes'",
        "ALTER TABLE officer DISABLE ROW LEVEL SECURITY",
        "DROP POLICY of_tenant ON officer",
        "SET ROLE fleet_owner",
        "UPDATE alembic_version SET version_num = 'x'",
    ],
    ids=["insert", "move", "switch-off", "drop-policy", "become-owner", "revision"],
)
def test_what_a_municipality_may_not_do_is_refused_by_the_database(town: Town, statement: str) -> None:
    with pytest.raises(DBAPIError), town.database.writing(only(DAMME)) as db:
        db.connection().execute(text(statement))


def test_changes_of_anothers_rows_find_none(town: Town) -> None:
    with town.database.writing(only(DAMME)) as db:
        for statement in (f"UPDATE officer SET name = 'x' WHERE tenant = '{BRUGGE}'", "DELETE FROM request"):
            assert db.connection().execute(text(statement)).rowcount == 0


def test_the_owner_of_the_tables_is_bound_too(town: Town, postgresql: Postgresql) -> None:
    town.ask()
    owner = Database(postgresql.url(town.database_name, OWNER))
    with owner.reading(only(DAMME)) as db:
        assert db.connection().scalar(text("SELECT count(*) FROM request")) == 0
    owner.close()


def test_every_table_with_a_municipality_in_it_is_guarded_or_says_why_not() -> None:
    """A new table with a `tenant` column is of OfTenant, and so guarded, unless it is named here."""
    everybodys = {"municipality", "postcode", "account"}  # no citizen in them; sign-in looks across
    with_tenant = {table.name for table in Base.metadata.tables.values() if "tenant" in table.columns}
    assert with_tenant - set(tenancy.tenant_tables()) == everybodys


def test_a_table_without_its_policy_stops_the_programs(town: Town, postgresql: Postgresql) -> None:
    owner = Database(postgresql.url(town.database_name, OWNER))
    schema.check(town.database)
    with owner.engine.begin() as connection:
        connection.execute(text("ALTER TABLE visit NO FORCE ROW LEVEL SECURITY"))
    with pytest.raises(tenancy.Unguarded, match="visit"):
        schema.check(town.database)
    schema.migrate(owner, "fleet_app")
    schema.check(town.database)
    owner.close()


def test_a_superuser_is_not_let_in(town: Town, postgresql: Postgresql) -> None:
    strong = Database(postgresql.url(town.database_name, "postgres"))
    with pytest.raises(tenancy.Unguarded, match="NOBYPASSRLS"):
        schema.check(strong)
    strong.close()


def test_a_reader_sees_one_state(town: Town) -> None:
    with town.database.reading(EVERYONE) as db:
        before = db.query(Request).count()
        town.ask()
        assert db.query(Request).count() == before
        with pytest.raises(DBAPIError, match="read-only"):
            db.connection().execute(text("DELETE FROM request"))


def test_a_bell_rings_for_work_that_was_committed_and_for_no_other(town: Town) -> None:
    rung: list[str] = []
    with Bell(town.database, rung.append):
        until(lambda: rung == [""], 20, "the bell to hang")
        with town.database.writing(EVERYONE) as db:
            outbox.put(db, "bag", "kit-lost", datetime.now(UTC))
            db.flush()
            db.rollback()
        with town.database.writing(EVERYONE) as db:
            outbox.put(db, "forward", "01", datetime.now(UTC))
        until(lambda: len(rung) > 1, 20, "the bell")
    assert rung == ["", "forward"]


def test_one_leads_and_another_takes_over(town: Town) -> None:
    other = Database(town.config.database_url)
    first, second = Leader(town.database, "timers"), Leader(other, "timers")
    assert first.leads()
    assert [second.leads(), first.leads(), second.leads()] == [False, True, False]
    first.leave()
    until(second.leads, 20, "the second to lead")
    assert not first.leads()
    second.leave()
    other.close()


def test_a_leader_cut_off_from_the_database_knows_it(town: Town, postgresql: Postgresql) -> None:
    leader = Leader(town.database, "timers")
    assert leader.leads()
    postgresql.do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'fleet_app'")
    assert not leader.leads()
    until(leader.leads, 20, "to lead again")
    leader.leave()


def test_of_two_that_wait_for_each_other_one_is_done_again(town: Town) -> None:
    first = threading.Barrier(2)
    tries: list[str] = []

    def both(mine: str, other: str) -> str:
        tries.append(mine)
        with town.database.writing(EVERYONE) as db:
            take_turn(db, mine)
            if len(tries) <= 2:
                first.wait(60)
            take_turn(db, other)
        return mine

    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(whole, partial(both, *names)) for names in (("one", "two"), ("two", "one"))]
        assert [each.result(120) for each in done] == ["one", "two"]
    assert len(tries) == 3


def test_what_fails_for_another_reason_is_not_done_again(town: Town) -> None:
    tries = 0

    def wrong() -> None:
        nonlocal tries
        tries += 1
        with town.database.writing(EVERYONE) as db:
            db.execute(text("SELECT 1 / 0"))

    with pytest.raises(DBAPIError):
        whole(wrong)
    assert tries == 1


def test_turns_are_taken_one_after_another(town: Town) -> None:
    order: list[str] = []
    inside = threading.Event()

    def late() -> None:
        inside.wait(20)
        with town.database.writing(EVERYONE) as db:
            take_turn(db, "a-name")
            order.append("late")

    thread = threading.Thread(target=late)
    thread.start()
    with town.database.writing(EVERYONE) as db:
        take_turn(db, "a-name")
        inside.set()
        thread.join(0.3)
        order.append("early")
    thread.join(20)
    assert order == ["early", "late"]


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "postgresql://a:secret@h/d", "postgresql+psycopg2://h/d", "x"]
)
def test_a_database_that_is_none_of_ours_is_refused(url: str) -> None:
    with pytest.raises(Exception, match=r"password|expected|parse"):
        read_url(url)
