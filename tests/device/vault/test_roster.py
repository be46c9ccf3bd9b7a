"""The list of officers and the enrolments, as they lie in the vault."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from device.vault import roster
from device.vault.database import Database
from device.vault.roster import Held

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
HELD = Held(3, NOW, NOW + timedelta(hours=168), NOW + timedelta(hours=169), "token")


@pytest.fixture
def laid(database: Database) -> Database:
    database.define(roster.TABLES)
    return database


def test_the_newest_list_is_kept_alone_and_read_as_it_was(laid: Database) -> None:
    assert roster.read(laid) is None
    for held in (HELD, replace(HELD, version=4, token="newer")):
        with laid.transaction() as tx:
            roster.keep(tx, held)
        assert roster.read(laid) == held
    assert len(laid.rows("SELECT * FROM roster")) == 1


def use_twice(laid: Database, nonce: str) -> None:
    with laid.transaction() as tx:
        roster.use(tx, nonce)
        roster.use(tx, nonce)


def test_an_enrolment_is_used_up_once(laid: Database) -> None:
    assert not roster.is_used(laid, "one")
    with laid.transaction() as tx:
        roster.use(tx, "one")
    assert roster.is_used(laid, "one")
    assert not roster.is_used(laid, "two")
    with pytest.raises(sqlite3.IntegrityError):
        use_twice(laid, "two")
    assert not roster.is_used(laid, "two"), "not at all rather than twice"
