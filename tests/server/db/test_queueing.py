"""SQLite's one writer is given to the threads of a process in the order in which they came, and processes do
not keep each other out."""

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.db.engine import Database
from server.db.queueing import Queue, WriterHeld
from server.db.scope import EVERYONE
from server.fleet import outbox
from tests.mosquitto import until
from tests.server.town import Town


def test_turns_are_given_in_order() -> None:
    queue, order = Queue(), list[int]()

    def work(number: int) -> None:
        with queue.turn(60):
            order.append(number)

    with queue.turn(60):
        threads = []
        for number in range(5):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            until(lambda: len(queue._waiting) == number + 1)  # noqa: B023
    for thread in threads:
        thread.join()
    assert order == list(range(5))


def test_who_has_no_patience_left_is_told_and_takes_no_turn_of_others() -> None:
    queue = Queue()
    with queue.turn(60), pytest.raises(WriterHeld), queue.turn(0.01):
        raise AssertionError("two at once")
    with queue.turn(60):
        assert not queue._waiting


def test_a_turn_ends_also_when_the_work_fails() -> None:
    queue = Queue()
    for _ in range(2):
        try:
            with queue.turn(0.1):
                raise ValueError
        except ValueError:
            assert not queue._taken


def test_a_program_that_is_killed_in_its_turn_makes_room(tmp_path: Path) -> None:
    path = str(tmp_path / "some.db")
    program = (
        f"from server.db.queueing import Queue; import time\nwith Queue({path!r}).turn(9): "
        "print('mine', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"mine\n"
        ended = threading.Event()

        def come() -> None:
            queue = Queue(path)
            with queue.turn(60):
                ended.set()
            queue.close()

        thread = threading.Thread(target=come)
        thread.start()
        assert not ended.wait(0.3)
        other.kill()
        assert ended.wait(60)
        thread.join()


@pytest.mark.parametrize("one", [True, False], ids=["one-program", "two-programs"])
def test_a_writer_that_comes_back_at_once_does_not_keep_another_out(town: Town, one: bool) -> None:
    """Without the queue the second waits for as long as the first goes on, more often than not. Two programs
    share nothing but the file: as two databases of one program do."""
    other = town.database if one else Database(town.config.database_url)
    over, turns, waits = threading.Event(), 0, list[float]()

    def greedy() -> None:
        nonlocal turns
        while not over.is_set():
            with other.writing(EVERYONE) as db:
                outbox.put(db, "doorbell", "kit", datetime.now(UTC))
                time.sleep(0.05)
            turns += 1

    first = threading.Thread(target=greedy)
    first.start()
    until(lambda: turns)
    for _ in range(5):
        before = turns
        with town.database.writing(EVERYONE):
            waits.append(turns - before)
    over.set()
    first.join()
    if not one:
        other.close()
    assert max(waits) <= 10
