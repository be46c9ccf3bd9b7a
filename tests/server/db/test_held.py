"""A program that stands still while it has SQLite's one writer: the others hear who it is, and try later."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from server.auth import sign_in
from server.db.engine import Database
from server.db.queueing import Queue, WriterHeld
from server.db.scope import EVERYONE
from server.db.tables import OutboxRow, SignIn
from server.fleet import outbox
from tests.server.engines import SQLITE
from tests.server.town import PASSWORD, Town

NOW = datetime.now(UTC)
IN_TURN = """
import sys, time
from datetime import datetime, UTC
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.fleet import outbox
with Database(sys.argv[1]).writing(EVERYONE) as db:
    outbox.put(db, "doorbell", "stopped", datetime.now(UTC))
    db.flush()
    print("mine", flush=True)
    sys.stdin.readline()
"""
WITHOUT_TURN = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1].removeprefix("sqlite:///"), isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("mine", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def engine() -> str:
    return SQLITE


@contextmanager
def stopped(program: str, url: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A program stopped in the middle of a transaction; it lives until the block is left."""
    argv = [sys.executable, "-c", program, url]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"mine\n"
            process.send_signal(signal.SIGSTOP)
            yield process
        finally:
            process.kill()


def put(database: Database, subject: str) -> None:
    with database.writing(EVERYONE) as db:
        outbox.put(db, "doorbell", subject, NOW)


def waiting(database: Database) -> list[str]:
    with database.reading(EVERYONE) as db:
        wanted = select(OutboxRow.subject).where(OutboxRow.queue == "doorbell")
        return list(db.scalars(wanted.order_by(OutboxRow.row_id)))


@pytest.mark.parametrize("program", [IN_TURN, WITHOUT_TURN], ids=["in-turn", "without-a-turn"])
def test_who_waits_for_a_stopped_program_hears_which_and_nothing_is_done(town: Town, program: str) -> None:
    ours = Database(town.config.database_url, patience_s=0.4)
    with stopped(program, town.config.database_url) as process:
        for _ in range(2):
            with pytest.raises(WriterHeld) as problem:
                put(ours, "ours")
            assert problem.value.by.process == process.pid
            assert problem.value.by.program.startswith("python")
        assert waiting(ours) == []
        with pytest.raises(WriterHeld):
            ours.writable(0.2)  # as whoever asks whether we can work
    put(ours, "ours")
    ours.writable(0.2)
    assert waiting(ours) == ["ours"]
    ours.close()


@pytest.mark.parametrize("program", [IN_TURN, WITHOUT_TURN], ids=["in-turn", "without-a-turn"])
def test_a_page_that_only_reads_does_not_wait_for_who_stands_still(town: Town, program: str) -> None:
    patient = Database(town.config.database_url, patience_s=600)
    now = datetime.now(UTC)
    token, _ = sign_in.sign_in(patient, "planner.brugge", PASSWORD, "here", now)
    later = now + 2 * sign_in.TOUCH
    with stopped(program, town.config.database_url):
        assert sign_in.who(patient, token, later) is not None
        with pytest.raises(WriterHeld), patient.writing(EVERYONE, 0.1):
            raise AssertionError("two at once")
    assert _seen(patient) == now
    assert sign_in.who(patient, token, later) is not None
    assert _seen(patient) == later
    patient.close()


def _seen(database: Database) -> datetime:
    with database.reading(EVERYONE) as db:
        return db.scalars(select(SignIn.seen)).one()


def test_a_program_that_goes_on_is_not_disturbed_by_who_gave_up(town: Town) -> None:
    ours, others = (Database(town.config.database_url, patience_s=each) for each in (0.3, 60))
    with stopped(IN_TURN, town.config.database_url) as process:
        with pytest.raises(WriterHeld):
            put(ours, "ours")
        process.send_signal(signal.SIGCONT)
        assert process.stdin is not None
        process.stdin.write(b"go on\n")
        process.stdin.close()
        put(others, "others")  # the turn that came to who gave up was passed on
        put(ours, "ours")
        put(others, "others")
    assert waiting(ours) == ["stopped", "others", "ours", "others"]
    ours.close()
    others.close()


def test_a_program_whose_thread_gave_up_has_its_turn_later_and_gives_it_back(tmp_path: Path) -> None:
    path = str(tmp_path / "some.db")
    holder, queue = Queue(path), Queue(path)
    with holder.turn(60):
        for _ in range(3):
            with pytest.raises(WriterHeld, match=rf"\(process {os.getpid()}\)"), queue.turn(0.05):
                raise AssertionError("two at once")
    with queue.turn(60), pytest.raises(WriterHeld), holder.turn(0.05):
        raise AssertionError("two at once")
    with holder.turn(60):
        pass
    holder.close()
    queue.close()


def test_what_is_wrong_for_another_reason_is_told_as_ever(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    database = Database(f"sqlite:///{tmp_path / 'folder.db'}", patience_s=0.1)
    with pytest.raises(Exception, match="unable to open") as problem, database.writing(EVERYONE):
        raise AssertionError("there is no database")
    assert isinstance(problem.value.__cause__, sqlite3.OperationalError)
    database.close()
