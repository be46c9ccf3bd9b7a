"""What is committed is there, what failed is not; the shape of the database is what the migrations make."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from server.db import schema
from server.db.engine import Database
from server.db.field_key import FieldDamaged, FieldKey
from server.db.listening import ChangeWatch
from server.db.scope import EVERYONE
from server.db.tables import Base, Municipality, Throttle
from tests.server.town import Town


def test_what_fails_half_way_leaves_nothing(town: Town) -> None:
    def fail() -> None:
        with town.database.writing(EVERYONE) as db:
            db.add(Municipality(tenant="0207000000", name="Nergens"))
            db.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with town.database.reading(EVERYONE) as db:
        assert db.get(Municipality, "0207000000") is None


def test_an_instant_keeps_its_zone(town: Town) -> None:
    at = datetime(2026, 11, 23, 14, 30, tzinfo=timezone(timedelta(hours=1)))
    with town.database.writing(EVERYONE) as db:
        db.add(Throttle(key="k", since=at, count=1))
    with town.database.reading(EVERYONE) as db:
        assert db.get_one(Throttle, "k").since == at
        assert db.get_one(Throttle, "k").since.tzinfo == UTC


def test_an_instant_without_a_zone_is_a_bug(town: Town) -> None:
    with pytest.raises(Exception, match="zone"), town.database.writing(EVERYONE) as db:
        db.add(Throttle(key="k", since=datetime(2026, 11, 23), count=1))  # noqa: DTZ001


def test_the_migrations_make_exactly_the_tables_of_the_program(town: Town) -> None:
    with town.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_program_asks_for_the_newest_revision() -> None:
    assert ScriptDirectory(str(schema.MIGRATIONS)).get_heads() == [schema.HEAD]


def test_a_database_without_tables_is_refused(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(schema.NotMigrated, match="none"):
        schema.check(database)
    assert schema.migrate(database) == ""
    schema.check(database)
    assert schema.migrate(database) == schema.HEAD
    database.close()


def test_a_watch_sees_what_others_commit(town: Town) -> None:
    watch = ChangeWatch(town.database)
    assert not watch.wait(0.1)
    with town.database.writing(EVERYONE) as db:
        db.add(Throttle(key="k", since=datetime.now(UTC), count=1))
    assert watch.wait(0.1)
    assert not watch.wait(0.1)
    watch.close()


def test_a_sealed_field_opens_only_where_it_was_sealed() -> None:
    key = FieldKey(bytes(32))
    sealed = key.seal("0207530775", "request|name|01", "Jan Jansen")
    assert b"Jan" not in sealed
    assert key.open("0207530775", "request|name|01", sealed) == "Jan Jansen"
    assert key.seal("0207530775", "request|name|01", "Jan Jansen") != sealed
    for tenant, place in (
        ("0207458223", "request|name|01"),
        ("0207530775", "request|name|02"),
        ("0207530775", "request|phone|01"),
    ):
        with pytest.raises(FieldDamaged):
            key.open(tenant, place, sealed)
    with pytest.raises(FieldDamaged):
        FieldKey(bytes(31) + b"x").open("0207530775", "request|name|01", sealed)
    for at in range(len(sealed)):
        with pytest.raises(FieldDamaged):
            key.open(
                "0207530775", "request|name|01", sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
            )


def test_a_fingerprint_keeps_facts_apart() -> None:
    key = FieldKey(bytes(32))
    assert key.fingerprint("1", "ab", "c") == key.fingerprint("1", "ab", "c")
    assert key.fingerprint("1", "ab", "c") != key.fingerprint("1", "a", "bc")
    assert key.fingerprint("1", "ab", "c") != key.fingerprint("2", "ab", "c")


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_field_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32"):
        FieldKey(bytes(length))
