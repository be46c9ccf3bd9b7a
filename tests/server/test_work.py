"""The job worker at work: bags at every change, the old ones gone, and a stop that is prompt."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from server.db.scope import EVERYONE
from server.db.tables import Kit, OutboxRow
from server.fleet.forwarding.breaker import Breaker
from server.fleet.forwarding.connectors import Connectors
from server.fleet.forwarding.forwarder import Forwarder
from server.work import RUNG_S, Worker
from tests.mosquitto import until
from tests.server.engines import POSTGRESQL
from tests.server.town import KIT, OTHER_KIT, Town


@pytest.fixture
def worker(town: Town) -> Iterator[Worker]:
    forwarder = Forwarder(
        town.database, town.dock.blobs, Connectors({}), Breaker(time.monotonic), lambda: datetime.now(UTC)
    )
    made = Worker(
        town.database, town.fields, town.sealer, town.dock.blobs, town.dock, forwarder, town.custodian
    )
    stop = threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    yield made
    began = time.monotonic()
    stop.set()
    thread.join(20)
    assert time.monotonic() - began < 5


def version(town: Town, kit_id: str) -> int:
    with town.database.reading(EVERYONE) as db:
        return db.get_one(Kit, kit_id).bag_version


def test_every_change_brings_a_new_bag_and_takes_the_old_one_away(town: Town, worker: Worker) -> None:
    until(lambda: version(town, KIT) == version(town, OTHER_KIT) == 1, 60, "the first bags")
    town.plan()
    until(lambda: version(town, KIT) == 2, 60, "the second bag")
    assert version(town, OTHER_KIT) == 1

    def kept() -> int:
        return sum(path.is_file() for path in town.dock.blobs.root.rglob("*"))

    until(lambda: kept() == 2, 60, "the old bag to go")


def test_a_piece_of_work_that_breaks_does_not_stop_the_others(town: Town, worker: Worker) -> None:
    until(lambda: version(town, KIT) == 1, 60, "the first bag")
    with town.database.writing(EVERYONE) as db:
        db.get_one(Kit, OTHER_KIT).bag_recipient = "age1pq-damaged"
        for kit_id in (OTHER_KIT, KIT):
            db.add(OutboxRow(queue="bag", subject=kit_id, run_after=datetime.now(UTC)))
    until(lambda: version(town, KIT) == 2, 60, "the other kit's bag")

    def broken() -> OutboxRow | None:
        with town.database.reading(EVERYONE) as db:
            return next((row for row in db.query(OutboxRow) if row.subject == OTHER_KIT and row.error), None)

    row = until(broken, 60, "the broken piece to be put back")
    assert (row.queue, row.error) == ("bag", "bug")


@pytest.mark.parametrize("engine", [POSTGRESQL])
def test_a_database_that_was_away_is_worked_on_again(town: Town, worker: Worker) -> None:
    until(lambda: version(town, KIT) == 1, 60, "the first bag")
    assert town.engine.server is not None
    with town.engine.server.away(town.database_name):
        time.sleep(RUNG_S * 1.5)  # each of its threads has looked
    town.plan()
    until(lambda: version(town, KIT) == 2, 60, "the second bag")
