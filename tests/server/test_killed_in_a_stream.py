"""The ingest worker and the broker killed in the middle of a stream at full rate: each row once.

What is counted: a health report is said once by the kit, so whatever the broker holds must become one row,
however often the worker dies. A broker that is killed forgets what it had not saved (0131): reports of those
seconds may be missing, none is there twice, and every event, which a kit says until it is receipted, is there
exactly once. THUISLOKET_LONG=1: twenty deaths, on both databases.
"""

import itertools
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from sqlalchemy import func, select

from server.db.scope import EVERYONE
from server.db.tables import Message, Report
from tests.mosquitto import Mosquitto, until
from tests.server.engines import POSTGRESQL, SQLITE
from tests.server.programs import Program
from tests.server.stream import REPORTS, Talker
from tests.server.town import KIT, OTHER_KIT, Town, served_by

LONG = bool(os.environ.get("THUISLOKET_LONG"))
DEATHS = 20 if LONG else 1
LONGEST_S = 300.0  # for a worker to be back, on a machine that does ten other things
WORKER_DIES = [SQLITE, POSTGRESQL] if LONG else [POSTGRESQL]
BROKER_DIES = [SQLITE, POSTGRESQL] if LONG else [SQLITE]

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800 if LONG else 600)]


@pytest.fixture
def broker(town: Town) -> Iterator[Mosquitto]:
    with served_by(town, Mosquitto(town.folder / "broker", town.ground.pki)) as made:
        yield made


class Worker:
    """The ingest; each life with a log of its own."""

    def __init__(self, town: Town) -> None:
        self._town, self._lives = town, itertools.count(1)
        self._program = self._begin()
        until(self._subscribed, LONGEST_S, "the worker")  # its session is kept from here on

    def _begin(self) -> Program:
        log = self._town.folder / f"ingest-{next(self._lives)}.log"
        return Program(log, "server", "ingest", "--config", str(self._town.toml))

    def _subscribed(self) -> bool:
        assert self._program.process.poll() is None, self._program.log.read_text()
        return "broker connected" in self._program.log.read_text()

    def kill(self) -> None:
        self._program.kill()
        self._program = self._begin()

    def stop(self) -> None:
        assert self._program.stop() == 0, self._program.log.read_text()[-2000:]


@pytest.mark.parametrize("engine", WORKER_DIES)
def test_nothing_is_lost_or_doubled_whoever_dies(town: Town, broker: Mosquitto) -> None:
    chance = random.Random(2026)
    worker = Worker(town)
    try:
        with talking(town, broker) as talkers:
            began = time.monotonic()
            for _ in range(DEATHS):
                flowing(town, chance.uniform(0.1, 1.0))
                worker.kill()
            flowing(town, 0.1)
            for talker in talkers:
                talker.hush(LONGEST_S)
            said = {talker.kit_id: talker.reports for talker in talkers}
            until(lambda: rows(town) >= sum(said.values()), LONGEST_S, "the last reports")
            took = time.monotonic() - began
        assert kept(town) == {kit_id: Counter(range(1, many + 1)) for kit_id, many in said.items()}
        assert told(town) == {name for talker in talkers for name in talker.events}
        tell(f"{DEATHS} deaths of the worker: {sum(said.values())} reports in {took:.0f} s, each once")
    finally:
        worker.stop()


@pytest.mark.parametrize("engine", BROKER_DIES)
def test_events_are_kept_once_and_reports_never_twice_when_the_broker_dies(
    town: Town, broker: Mosquitto
) -> None:
    chance = random.Random(2027)
    worker = Worker(town)
    try:
        with talking(town, broker) as talkers:
            for number in range(DEATHS):
                flowing(town, chance.uniform(0.1, 1.0))
                broker.kill()
                broker.start()
                if number % 2:
                    flowing(town, chance.uniform(0.1, 1.0))
                    worker.kill()
            flowing(town, 0.1)
            for talker in talkers:
                talker.hush(LONGEST_S)
        reports, events = kept(town), [name for talker in talkers for name in talker.events]
    finally:
        worker.stop()
    assert told(town) == set(events)
    assert all(set(count.values()) == {1} for count in reports.values())
    said, there = sum(talker.reports for talker in talkers), rows(town)
    tell(
        f"{DEATHS} deaths of the broker, {DEATHS // 2} of the worker: {len(events)} events, each once; "
        f"of {said} reports none twice, {said - there} forgotten by the broker"
    )


@contextmanager
def talking(town: Town, broker: Mosquitto) -> Iterator[list[Talker]]:
    """Two kits that talk at once, until the end of the block."""
    talkers = [Talker(town, broker.port, kit_id) for kit_id in (KIT, OTHER_KIT)]
    try:
        yield talkers
    finally:
        for talker in talkers:
            talker.close()


def flowing(town: Town, seconds: float) -> None:
    """Until rows have come in for some time, counted from the first new ones."""
    before = newest(town)
    until(lambda: newest(town) > before + REPORTS, LONGEST_S, "rows of the stream")
    time.sleep(seconds)


def newest(town: Town) -> int:
    with town.database.reading(EVERYONE) as db:
        return db.scalar(select(func.max(Report.report_id))) or 0


def rows(town: Town) -> int:
    with town.database.reading(EVERYONE) as db:
        return db.scalar(select(func.count()).select_from(Report)) or 0


def kept(town: Town) -> dict[str, Counter[int]]:
    """How often each report of each kit is there, by its number."""
    with town.database.reading(EVERYONE) as db:
        found = db.execute(select(Report.kit_id, Report.health)).all()
    counts: dict[str, Counter[int]] = {}
    for kit_id, health in found:
        counts.setdefault(kit_id, Counter())[msgspec.json.decode(health)["uptime_s"]] += 1
    return counts


def told(town: Town) -> set[str]:
    with town.database.reading(EVERYONE) as db:
        return set(db.scalars(select(Message.message_id)))


def tell(text: str) -> None:
    """For whoever runs the long form with -s."""
    sys.stderr.write(f"\n  {text}\n")
