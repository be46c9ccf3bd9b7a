"""Work in the outbox that somebody else's transaction holds: who could do it looks now and then."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from server import trust
from server.db.scope import EVERYONE
from server.db.tables import OutboxRow
from server.fleet import outbox
from server.mqtt import Ingest
from tests.mosquitto import Mosquitto, until
from tests.server.engines import POSTGRESQL
from tests.server.town import KIT, Town, served_by

HELD_S = 2.0


@pytest.fixture
def broker(town: Town) -> Iterator[Mosquitto]:
    with served_by(town, Mosquitto(town.folder / "broker", town.ground.pki)) as made:
        yield made


def waiting(town: Town) -> bool:
    with town.database.reading(EVERYONE) as db:
        return db.scalar(select(OutboxRow.row_id).where(OutboxRow.queue == "doorbell")) is not None


@pytest.mark.parametrize("engine", [POSTGRESQL])
def test_a_doorbell_that_is_locked_is_rung_later(town: Town, broker: Mosquitto) -> None:
    stop = threading.Event()
    ingest = Ingest(town.database, town.config.mqtt, trust.roots(town.config.trust.roots), town.dock)
    thread = threading.Thread(target=ingest.run, args=(stop,))
    thread.start()
    try:
        with town.database.writing(EVERYONE) as db:
            outbox.put(db, "doorbell", KIT, datetime.now(UTC))
        until(lambda: not waiting(town), what="the first to be rung")
        with town.database.writing(EVERYONE) as db:  # due once we hold it
            outbox.put(db, "doorbell", KIT, datetime.now(UTC) + timedelta(seconds=0.5))
        with town.database.writing(EVERYONE) as db:
            db.scalars(select(OutboxRow).with_for_update()).all()
            used = time.process_time()
            time.sleep(HELD_S)
            used = time.process_time() - used
        until(lambda: not waiting(town), what="the second to be rung")
        assert used < HELD_S / 4
    finally:
        stop.set()
        thread.join()
