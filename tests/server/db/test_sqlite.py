"""The embedded database: what is committed is on the disk, and there is one writer."""

import sqlite3

import pytest
from sqlalchemy import text

from server.db.scope import EVERYONE
from server.db.tables import Municipality
from tests.server.engines import SQLITE
from tests.server.town import Town


@pytest.fixture
def engine() -> str:
    return SQLITE


def test_a_commit_is_on_the_disk(town: Town) -> None:
    with town.database.engine.connect() as connection:
        answers = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert answers == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


def test_a_writer_takes_its_turn_before_it_reads(town: Town) -> None:
    other = sqlite3.connect(town.config.data / "fleet.db", timeout=0)
    with town.database.writing(EVERYONE) as db:
        db.get(Municipality, "0207530775")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()
