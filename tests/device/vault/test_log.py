"""The log laid out ahead: a commit overwrites it in place, and who opens the vault finds what was kept."""

import sqlite3

import pytest

from device.vault.database import Database
from device.vault.log import ROOM

PAGE = 4096


@pytest.fixture
def log(database):
    database.define(["CREATE TABLE IF NOT EXISTS t (x BLOB)"])
    return database.path.with_name("vault.db-wal")


def commit(database, size):
    with database.transaction() as tx:
        tx.execute("INSERT INTO t VALUES (zeroblob(?))", (size,))


def used(log):
    return len(log.read_bytes().rstrip(b"\0"))


def test_in_a_quiet_moment_it_is_laid_out_and_begun(database, log):
    database.settle()
    assert log.stat().st_size == ROOM
    assert PAGE < used(log) <= PAGE + 56, "one page of it, so that the next commit is not its first"
    before = log.read_bytes()
    database.settle()
    assert log.read_bytes() == before, "once is enough"


def test_a_commit_is_written_over_it_and_it_stays_as_large(database, log):
    database.settle()
    commit(database, 3 * PAGE)
    assert log.stat().st_size == ROOM
    assert used(log) > 4 * PAGE


def test_what_is_committed_there_is_there_for_who_opens_the_vault_after_a_crash(tmp_path, database, log):
    database.settle()
    commit(database, 2 * PAGE)
    copy = tmp_path / "copy.db"
    copy.write_bytes(database.path.read_bytes())
    copy.with_name("copy.db-wal").write_bytes(log.read_bytes())
    again = Database(copy)
    assert again.rows("SELECT length(x) FROM t") == [(2 * PAGE,)]
    assert copy.with_name("copy.db-wal").stat().st_size == 0
    again.close()


@pytest.mark.parametrize("size", [ROOM // 2, 2 * ROOM])
def test_a_log_that_is_half_used_or_has_grown_is_laid_out_anew(database, log, size):
    database.settle()
    commit(database, size)
    assert used(log) > ROOM // 2
    database.settle()
    assert log.stat().st_size == ROOM
    assert used(log) < 2 * PAGE
    assert database.rows("SELECT length(x) FROM t") == [(size,)]


def test_while_another_reads_it_is_let_be_and_laid_out_later(database, log):
    database.settle()
    commit(database, 2 * ROOM)
    database.rows("PRAGMA busy_timeout=50")
    reader = sqlite3.connect(database.path)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM t").fetchall()
    database.settle()
    assert log.stat().st_size > ROOM
    assert len(reader.execute("SELECT * FROM t").fetchall()) == 1
    reader.close()
    database.settle()
    assert log.stat().st_size == ROOM
    assert database.rows("SELECT length(x) FROM t") == [(2 * ROOM,)]


def test_it_is_laid_out_anew_where_it_was_never_begun(tmp_path, database, log):
    database.settle()
    log.unlink()
    database.close()
    again = Database(database.path)
    again.settle()
    assert log.stat().st_size == ROOM
    again.close()
