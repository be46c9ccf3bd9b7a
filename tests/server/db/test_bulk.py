"""Many rows at once, on both engines: as they were given, in one order, and failing as everything fails."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from server.db import bulk
from server.db.engine import Database
from server.db.scope import EVERYONE, ForeignTenant, only
from server.db.tables import Kit, Report, Visit
from server.db.turns import whole
from tests.mosquitto import until
from tests.postgresql import Postgresql
from tests.server.engines import POSTGRESQL
from tests.server.town import BRUGGE, KIT, OTHER_KIT, Town

NOW = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)
ODD = '{"a":"\\" \\\\ {,} NULL é\\t"}'
REPORT = ("report_id", "kit_id", "previous", "received", "at", "health")


def cut_off(postgresql: Postgresql) -> None:
    """PostgreSQL ends every connection of the programs."""
    ours = "FROM pg_stat_activity WHERE usename = 'fleet_app'"
    postgresql.do(f"SELECT pg_terminate_backend(pid) {ours}")
    with psycopg.connect(postgresql.dsn("postgres"), autocommit=True) as other:
        until(lambda: other.execute(f"SELECT count(*) {ours}").fetchone() == (0,), 20, "all to be cut")


def test_values_are_kept_as_they_are_whatever_is_in_them(town: Town) -> None:
    with town.database.writing(EVERYONE) as db:
        (kit,), numbers = bulk.lock_rows(db, Kit, ("kit_id", "health_at"), [KIT, "kit-unknown-01"], Report, 2)
        assert kit == (KIT, None)
        rows = [(numbers[0], KIT, None, NOW, NOW, ODD), (numbers[1], KIT, numbers[0], NOW, NOW, "NULL")]
        bulk.insert_rows(db, Report, REPORT, rows)
        said = [(KIT, "off", NOW, ODD), (OTHER_KIT, "", None, "{}")]
        bulk.update_rows(db, Kit, ("kit_id", "presence", "health_at", "health"), said)
    with town.database.reading(EVERYONE) as db:
        first, second = db.scalars(select(Report).order_by(Report.report_id))
        assert (first.previous, first.health, first.at) == (None, ODD, NOW)
        assert (second.previous, second.health) == (first.report_id, "NULL")
        one, other = db.get_one(Kit, KIT), db.get_one(Kit, OTHER_KIT)
        assert (one.presence, one.health_at, one.health) == ("off", NOW, {"a": '" \\ {,} NULL é\t'})
        assert (other.presence, other.health_at, other.health) == ("", None, {})


def test_numbers_are_drawn_once_and_grow(town: Town) -> None:
    drawn: list[int] = []
    for count in (0, 3, 2):
        with town.database.writing(EVERYONE) as db:
            rows, numbers = bulk.lock_rows(db, Kit, ("kit_id",), [OTHER_KIT, KIT], Report, count)
            assert [kit_id for (kit_id,) in rows] == [KIT, OTHER_KIT]
            bulk.insert_rows(db, Report, REPORT, [(each, KIT, None, NOW, NOW, "{}") for each in numbers])
        drawn += numbers
    assert len(drawn) == 5
    assert drawn == sorted(set(drawn))


def test_rows_of_citizens_and_sessions_of_one_town_are_not_for_this_room(town: Town) -> None:
    with pytest.raises(ForeignTenant), town.database.writing(EVERYONE) as db:
        bulk.lock_rows(db, Visit, ("visit_id",), ["x"], Report, 1)
    with pytest.raises(ForeignTenant), town.database.writing(only(BRUGGE)) as db:
        bulk.update_rows(db, Kit, ("kit_id", "presence"), [(KIT, "off")])


@pytest.mark.parametrize("engine", [POSTGRESQL])
def test_of_two_batches_that_wait_for_each_other_one_is_done_again(town: Town) -> None:
    met = threading.Barrier(2)
    tries: list[str] = []

    def both(mine: str, other: str) -> str:
        tries.append(mine)
        with town.database.writing(EVERYONE) as db:
            bulk.lock_rows(db, Kit, ("kit_id",), [mine], Report, 1)
            if len(tries) <= 2:
                met.wait(60)
            bulk.lock_rows(db, Kit, ("kit_id",), [other], Report, 1)
        return mine

    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(whole, partial(both, *names)) for names in ((KIT, OTHER_KIT), (OTHER_KIT, KIT))]
        assert [each.result(120) for each in done] == [KIT, OTHER_KIT]
    assert len(tries) == 3


@pytest.mark.parametrize("engine", [POSTGRESQL])
def test_a_connection_lost_in_a_batch_fails_it_and_no_other(town: Town, postgresql: Postgresql) -> None:
    def batch(database: Database, cut: bool) -> None:
        with database.writing(EVERYONE) as db:
            _, numbers = bulk.lock_rows(db, Kit, ("kit_id",), [KIT], Report, 1)
            if cut:
                cut_off(postgresql)
            bulk.insert_rows(db, Report, REPORT, [(numbers[0], KIT, None, NOW, NOW, "{}")])

    with pytest.raises(DBAPIError) as problem:
        batch(town.database, cut=True)
    assert problem.value.connection_invalidated
    batch(town.database, cut=False)
    with town.database.reading(EVERYONE) as db:
        assert len(db.scalars(select(Report)).all()) == 1


@pytest.mark.parametrize("engine", [POSTGRESQL])
def test_connections_that_ended_while_nobody_used_them_are_not_used_again(
    town: Town, postgresql: Postgresql
) -> None:
    for _ in range(2):
        with town.database.reading(EVERYONE) as one, town.database.reading(EVERYONE) as two:
            assert one.get(Kit, KIT) is not None
            assert two.get(Kit, KIT) is not None
        cut_off(postgresql)
    with town.database.reading(EVERYONE) as db:
        assert db.get(Kit, KIT) is not None
