"""SQLite's one writer is given to the threads of a process in the order in which they came."""

import threading
import time
from datetime import UTC, datetime

from server.db.queueing import Queue
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


def test_who_has_no_patience_left_goes_on_and_takes_no_turn_of_others() -> None:
    queue = Queue()
    with queue.turn(60), queue.turn(0.01):
        pass
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


def test_a_writer_that_comes_back_at_once_does_not_keep_another_out(town: Town) -> None:
    """Without the queue the second waits for as long as the first goes on, more often than not."""
    over, turns, waits = threading.Event(), 0, list[float]()

    def greedy() -> None:
        nonlocal turns
        while not over.is_set():
            with town.database.writing(EVERYONE) as db:
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
    assert max(waits) <= 2
