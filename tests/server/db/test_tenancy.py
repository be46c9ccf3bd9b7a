"""A session of one municipality sees and writes its own rows, whatever the code in it asks for."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import aliased

from server.db.scope import EVERYONE, ForeignTenant, only
from server.db.tables import Officer, Request, StatusCode
from server.fleet import visits
from tests.server.town import BRUGGE, DAMME, Town

SOURCE = Path(__file__).parents[3] / "server"


@pytest.fixture
def both(town: Town) -> tuple[str, str]:
    """A request in Brugge and one in Damme."""
    return town.ask().request_id, town.ask(postcode="8340", municipality="Damme").request_id


def test_a_select_gives_own_rows_only(town: Town, both: tuple[str, str]) -> None:
    with town.database.reading(only(DAMME)) as db:
        assert db.scalars(select(Request.request_id)).all() == [both[1]]
        assert {row.tenant for row in db.scalars(select(Officer))} == {DAMME}
    with town.database.reading(EVERYONE) as db:
        assert set(db.scalars(select(Request.request_id))) == set(both)
    with town.database.reading(only(BRUGGE, DAMME)) as db:
        assert set(db.scalars(select(Request.request_id))) == set(both)


def test_getting_by_key_finds_no_foreign_row(town: Town, both: tuple[str, str]) -> None:
    with town.database.reading(only(DAMME)) as db:
        assert db.get(Request, both[0]) is None
        assert db.get(Request, both[1]) is not None


def test_joins_and_aliases_are_filtered_too(town: Town, both: tuple[str, str]) -> None:
    other = aliased(Request)
    with town.database.reading(only(DAMME)) as db:
        pairs = db.execute(select(Request.request_id, other.request_id).join(other, other.postcode != ""))
        assert {name for pair in pairs for name in pair} == {both[1]}
        codes = select(StatusCode).join(Request, Request.request_id == StatusCode.request_id)
        assert {row.tenant for row in db.scalars(codes)} == {DAMME}


def test_bulk_changes_touch_own_rows_only(town: Town, both: tuple[str, str]) -> None:
    with town.database.writing(only(DAMME)) as db:
        db.execute(update(Request).values(language="de"))
        db.execute(delete(StatusCode))
    with town.database.reading(EVERYONE) as db:
        assert dict(db.execute(select(Request.request_id, Request.language)).all()) == {
            both[0]: "nl",
            both[1]: "de",
        }
        assert {row.tenant for row in db.scalars(select(StatusCode))} == {BRUGGE}


def test_a_row_of_another_municipality_cannot_be_added(town: Town) -> None:
    with pytest.raises(ForeignTenant), town.database.writing(only(DAMME)) as db:
        db.add(Officer(officer_id="eve.x", name="Eve", tenant=BRUGGE))
    with pytest.raises(ForeignTenant), town.database.writing(only(DAMME)) as db:
        db.execute(insert(Officer).values(officer_id="eve.x", name="Eve", tenant=BRUGGE))
    with town.database.reading(EVERYONE) as db:
        assert db.get(Officer, "eve.x") is None


def test_a_row_cannot_be_moved_to_another_municipality(town: Town) -> None:
    with pytest.raises(ForeignTenant), town.database.writing(EVERYONE) as db:
        db.get_one(Officer, "an.peeters").tenant = DAMME


def test_a_reading_session_cannot_write(town: Town) -> None:
    with pytest.raises(RuntimeError, match="reading"), town.database.reading(EVERYONE) as db:
        db.execute(update(Officer).values(name="x"))
    with town.database.reading(EVERYONE) as db:
        db.get_one(Officer, "an.peeters").name = "x"
        with pytest.raises(RuntimeError, match="reading"):
            db.flush()


def test_the_filter_does_not_remember_another_scope(town: Town, both: tuple[str, str]) -> None:
    for _ in range(3):
        for scope, wanted in ((only(BRUGGE), both[0]), (only(DAMME), both[1])):
            with town.database.reading(scope) as db:
                assert db.scalars(select(Request.request_id)).all() == [wanted]


def test_nobody_outside_the_database_room_speaks_to_tables_directly() -> None:
    direct = re.compile(r"__table__|(?<![.\w])(?<!def )text\(|exec_driver_sql|raw_connection|\.metadata\b")
    outside = [path for path in SOURCE.rglob("*.py") if "db" not in path.relative_to(SOURCE).parts[:1]]
    assert outside
    assert not [str(path) for path in outside if direct.search(path.read_text())]


def test_two_municipalities_cannot_take_the_same_kit_at_once(town: Town) -> None:
    """Bookings are of everybody, and say nothing of the citizen."""
    town.plan(hour=9)
    with town.database.reading(only(DAMME)) as db:
        assert visits.of_day(db, visits.local_day(datetime.now(UTC))) == []
