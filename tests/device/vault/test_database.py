import sqlite3
import threading

import pytest

from device.errors import Code, KitError
from device.vault.database import Database
from tests.device.vault.kit import small_files


def test_it_is_safe_against_power_cuts_and_keeps_nothing_deleted(database):
    assert database.row("PRAGMA journal_mode") == ("wal",)
    assert database.row("PRAGMA synchronous") == (2,)  # FULL
    assert database.row("PRAGMA secure_delete") == (1,)
    assert database.row("PRAGMA foreign_keys") == (1,)
    assert database.path.stat().st_mode & 0o777 == 0o600


def insert_and_fail(database):
    with database.transaction() as tx:
        tx.execute("INSERT INTO t VALUES ('lost')")
        tx.execute("not SQL")


def test_a_transaction_is_all_or_nothing(database):
    database.define(["CREATE TABLE IF NOT EXISTS t (x TEXT)"])
    with database.transaction() as tx:
        tx.execute("INSERT INTO t VALUES ('kept')")
    with pytest.raises(sqlite3.OperationalError):
        insert_and_fail(database)
    assert database.rows("SELECT x FROM t") == [("kept",)]
    assert not database.in_transaction


def test_transactions_do_not_nest_and_end_when_their_block_does(database):
    with database.transaction() as tx:
        assert database.in_transaction
        with pytest.raises(RuntimeError), database.transaction():
            pass
    with pytest.raises(RuntimeError):
        tx.execute("SELECT 1")


def test_another_thread_may_not_use_it(database):
    seen = []

    def use():
        try:
            database.rows("SELECT 1")
        except sqlite3.ProgrammingError as problem:
            seen.append(problem)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(seen) == 1


def test_a_room_may_lay_its_tables_again(database):
    for _ in range(2):
        database.define(["CREATE TABLE IF NOT EXISTS journal (place INTEGER PRIMARY KEY)"])
    assert database.rows("SELECT * FROM journal") == []


def broken(path):
    with pytest.raises(KitError) as failure:
        Database(path)
    return failure.value.code


def test_a_file_that_is_no_database_is_damage(tmp_path):
    path = tmp_path / "vault.db"
    path.write_bytes(b"not a database" * 1000)
    assert broken(path) == Code.VAULT_DAMAGED


def test_a_vault_of_a_version_to_come_is_left_alone(tmp_path, database):
    with database.transaction() as tx:
        tx.execute("PRAGMA user_version=99")
    assert broken(database.path) == Code.VAULT_DAMAGED


def test_a_folder_that_is_not_there_is_a_configuration_error(tmp_path):
    assert broken(tmp_path / "nowhere" / "vault.db") == Code.BAD_CONFIG


def read_packets(path):
    again = Database(path)
    try:
        again.rows("SELECT * FROM packet")
    finally:
        again.close()


def test_damage_inside_is_told_apart_from_our_mistakes(tmp_path, database):
    with database.transaction() as tx:
        tx.execute("INSERT INTO packet VALUES ('a', 'b', 'c', 1)")
        tx.execute("INSERT INTO visit_key VALUES ('v', zeroblob(200000))")
    database.close()
    data = bytearray(database.path.read_bytes())
    data[4096 * 2 :] = b"\xa5" * (len(data) - 4096 * 2)
    database.path.write_bytes(data)
    with pytest.raises(KitError) as failure:
        read_packets(database.path)
    assert failure.value.code == Code.VAULT_DAMAGED


def test_a_full_disk_is_told_as_such_and_changes_nothing(database):
    database.rows("PRAGMA max_page_count=40")
    with pytest.raises(KitError) as failure, database.transaction() as tx:
        tx.execute("INSERT INTO visit_key VALUES ('v', zeroblob(1000000))")
    assert failure.value.code == Code.DISK_FULL
    assert database.rows("SELECT * FROM visit_key") == []


def test_a_commit_counts_although_the_disk_does_not_take_the_emptying_of_the_log(database):
    database.settle()
    with database.transaction() as tx:
        tx.execute("INSERT INTO visit_key VALUES ('v', zeroblob(80000))")
        tx.execute("INSERT INTO visit_key VALUES ('w', x'aabbccddee')")
    log = database.path.with_name("vault.db-wal")
    with small_files(140_000):  # the log fits, the database that it would be brought into does not
        with database.transaction() as tx:
            tx.execute("DELETE FROM visit_key WHERE visit_id = 'w'")
            tx.shred()
        assert database.rows("SELECT visit_id FROM visit_key") == [("v",)]
    assert b"\xaa\xbb\xcc\xdd\xee" in log.read_bytes()
    database.settle()
    assert b"\xaa\xbb\xcc\xdd\xee" not in log.read_bytes() + database.path.read_bytes()


def test_the_log_is_emptied_after_shredding_even_when_a_reader_held_it_first(tmp_path, database):
    log = tmp_path / "vault.db-wal"
    with database.transaction() as tx:
        tx.execute("INSERT INTO visit_key VALUES ('v', x'00')")
    assert log.stat().st_size > 0
    database.rows("PRAGMA busy_timeout=50")
    reader = sqlite3.connect(database.path)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM visit_key").fetchall()
    with database.transaction() as tx:
        tx.execute("DELETE FROM visit_key")
        tx.shred()
    assert log.stat().st_size > 0
    reader.close()
    with database.transaction():
        pass
    assert log.stat().st_size == 0
