"""MQTT to committed rows, against the broker's own rate from a C program to a C program, in the same run.

All over mutual TLS at QoS 1: `mosquitto_pub -l` sends health reports; in turn `mosquitto_sub` takes them (the
limit), our ingest worker on SQLite and on PostgreSQL, paho counting them, and a bare loop (paho, a SQLite
commit a message) that keeps the bytes and nothing else. Rounds are interleaved and medians compared, so that
a busy machine disturbs all alike. Growth: the same batches into a small store and into one of 3 million rows.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.watched import processor_s
from protocol.ids import new_ulid
from protocol.messages import Envelope, Health, encode, instant
from protocol.topics import Tail, topic_of
from server.db import bulk
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.db.tables import Kit
from server.fleet import ingest
from tests.mosquitto import Mosquitto, until
from tests.postgresql import Postgresql
from tests.server.engines import Engine
from tests.server.town import KIT, Ground, Town, fill_postgresql, make_ground

PATIENCE_S = 600.0
TOPIC = topic_of(KIT, Tail.HEALTH)
BATCH, GROWN_KITS, SMALL = 400, 10_000, 100_000

PEER = """
import sqlite3, ssl, sys, time
import paho.mqtt.client as mqtt
port, ca, certificate, key, path, wanted = sys.argv[1:]
db = path and sqlite3.connect(path, isolation_level=None)
if db:
    db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE m (b BLOB)")
seen, began = 0, 0.0
def take(client, data, message):
    global seen, began
    if not seen:
        began = time.process_time()
    if db:
        db.execute("INSERT INTO m VALUES (?)", (message.payload,))
    seen += 1
    if seen == int(wanted):
        client.disconnect()
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "fleet-ingest-1", protocol=mqtt.MQTTv5)
client.tls_set(ca, certificate, key)
client.on_message = take
client.on_connect = lambda client, *rest: client.subscribe("tl/v1/kit/+/state/health", 1)
client.on_subscribe = lambda *rest: print("up", flush=True)
client.connect("127.0.0.1", int(port))
client.loop_forever()
print((time.process_time() - began) / seen * 1e6)
"""


@dataclass(frozen=True)
class Size:
    """Messages a round; rounds; rows in the store when growth is measured the second time, 0: it is not."""

    messages: int
    rounds: int
    grown: int


WHOLE, SHORT = Size(20_000, 5, 3_000_000), Size(5_000, 3, 500_000)


@dataclass(frozen=True)
class IngestResult:
    """Messages a second, medians; microseconds of processor time a message; the same a row on a store that
    is small, and one that has grown."""

    size: Size
    limit: float
    sqlite: float
    postgresql: float
    paho: float
    bare: float
    sqlite_us: float
    postgresql_us: float
    paho_us: float
    row_small_us: float
    row_large_us: float
    rounds: dict[str, list[float]]

    def goals(self) -> list[tuple[str, float, float]]:
        """What is measured, the ratio, and what it should be: F1 at least, F2 and growth at most."""
        told = [
            ("F1, SQLite, of the broker's rate, at least", self.sqlite / self.limit, 0.75),
            ("F1, PostgreSQL, of the broker's rate, at least", self.postgresql / self.limit, 0.70),
            ("F2, SQLite, of paho counting, at most", self.sqlite_us / self.paho_us, 1.7),
            ("F2, PostgreSQL, of paho counting, at most", self.postgresql_us / self.paho_us, 1.7),
        ]
        if self.size.grown:
            told.append(("a row on a large store, at most", self.row_large_us / self.row_small_us, 1.15))
        return told


class Stand:
    def __init__(self, folder: Path, messages: int) -> None:
        self.messages = messages
        self.ground: Ground = make_ground(folder)
        self.broker = Mosquitto(folder / "broker", self.ground.pki)
        self.broker.start()
        self.lines = folder / "lines"
        self.sequence = itertools.count(1)
        self.folder = folder

    def options(self, name: str) -> list[str]:
        pki = self.ground.pki.folder
        where = ["-h", "localhost", "-p", str(self.broker.port), "-V", "mqttv5", "--insecure"]
        return [
            *where,
            "--cafile",
            f"{pki}/roots.pem",
            "--cert",
            f"{pki}/{name}.pem",
            "--key",
            f"{pki}/{name}.key",
        ]

    def write_lines(self) -> None:
        """Reports that nobody has had yet."""
        with self.lines.open("wb") as file:
            for _ in range(self.messages):
                file.write(report(KIT, next(self.sequence))[1] + b"\n")

    def publish(self) -> "subprocess.Popen[bytes]":
        argv = ["mosquitto_pub", "-l", "-q", "1", "-t", TOPIC, *self.options(f"kit-tls-{KIT}")]
        with self.lines.open("rb") as lines:
            return subprocess.Popen(argv, stdin=lines)

    def limit(self) -> float:
        argv = ["mosquitto_sub", "-q", "1", "-t", "tl/v1/kit/+/state/health", "-C", str(self.messages)]
        with (self.folder / "heard").open("wb") as heard:
            taker = subprocess.Popen([*argv, *self.options("ingest-fleet-ingest-1")], stdout=heard)
            time.sleep(1.0)
            return self._rate(lambda: taker.poll() is not None)

    def peer(self, keeps: bool) -> tuple[float, float]:
        """A loop on paho that counts, or keeps the bytes in SQLite, a commit a message."""
        pki, path = self.ground.pki.folder, self.folder / "bare.db"
        path.unlink(missing_ok=True)
        names = ("roots.pem", "ingest-fleet-ingest-1.pem", "ingest-fleet-ingest-1.key")
        files = [f"{pki}/{name}" for name in names]
        argv = [sys.executable, "-c", PEER, str(self.broker.port), *files, str(path) if keeps else ""]
        taker = subprocess.Popen([*argv, str(self.messages)], stdout=subprocess.PIPE)
        assert taker.stdout is not None
        taker.stdout.readline()
        time.sleep(0.5)
        rate = self._rate(lambda: taker.poll() is not None)
        return rate, float(taker.stdout.readline())

    def ours(self, town: Town, pid: int) -> tuple[float, float]:
        with looking(town.database) as rows:
            began, wanted = processor_s(pid), rows() + self.messages
            rate = self._rate(lambda: rows() >= wanted)
        return rate, (processor_s(pid) - began) / self.messages * 1e6

    def _rate(self, done: Callable[[], bool]) -> float:
        began = time.monotonic()
        sender = self.publish()
        until(done, PATIENCE_S, "all messages")
        took = time.monotonic() - began
        sender.wait(30)
        return self.messages / took


@contextmanager
def worker(stand: Stand, folder: Path, engine: Engine) -> Iterator[tuple[Town, int]]:
    town = Town(folder, stand.ground, engine)
    town.ports["mqtt"] = stand.broker.port
    town.write_toml()
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "ingest", "--config", town.toml], stderr=file
        )
    try:
        until(lambda: "broker connected" in log.read_text(), PATIENCE_S, "the worker")
        time.sleep(1.0)
        yield town, process.pid
    finally:
        process.terminate()
        process.wait(30)
        town.close()


def measure(folder: Path, size: Size = WHOLE) -> IngestResult:
    stand, server = Stand(folder, size.messages), Postgresql(durable=True)
    fill_postgresql(stand.ground, server)
    rates: dict[str, list[float]] = {"limit": [], "sqlite": [], "postgresql": [], "paho": [], "bare": []}
    costs: dict[str, list[float]] = {"sqlite": [], "postgresql": [], "paho": []}
    try:
        for number in range(size.rounds):
            turns: list[tuple[str, Callable[[], tuple[float, float]]]] = [
                ("limit", lambda: (stand.limit(), 0.0)),
                ("sqlite", lambda: _one(stand, folder / f"s{number}", Engine())),  # noqa: B023
                ("postgresql", lambda: _one(stand, folder / f"p{number}", Engine(server))),  # noqa: B023
                ("paho", lambda: stand.peer(keeps=False)),
            ]
            if number == 0:  # it takes a while, and nobody doubts it
                turns.append(("bare", lambda: stand.peer(keeps=True)))
            for name, turn in turns if number % 2 == 0 else turns[::-1]:
                stand.write_lines()
                rate, cost = turn()
                rates[name].append(rate)
                costs.setdefault(name, []).append(cost)
    finally:
        stand.broker.stop()
        server.stop()
    small, large = growth(stand.ground, folder / "growth", size.grown) if size.grown else (0.0, 0.0)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    paid = {f"{name}_us": statistics.median(costs[name]) for name in ("sqlite", "postgresql", "paho")}
    return IngestResult(size, **medians, **paid, row_small_us=small, row_large_us=large, rounds=rates)


def _one(stand: Stand, folder: Path, engine: Engine) -> tuple[float, float]:
    with worker(stand, folder, engine) as (town, pid):
        return stand.ours(town, pid)


def growth(ground: Ground, folder: Path, grown: int) -> tuple[float, float]:
    """Microseconds a row on SQLite: median of batches after SMALL rows, and after `grown`."""
    town = Town(folder, ground)
    fill = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
        "INSERT INTO report (kit_id, previous, received, at, health) "
        "SELECT printf('kit-%05d', i % 10000), NULL, '2026-01-01', '2026-01-01', {health} FROM n"
    )
    health = "'" + report(KIT, 1)[1].decode().partition('"body":')[2][:-1] + "'"
    names = [f"kit-{number:05d}" for number in range(GROWN_KITS)]
    with town.database.writing(EVERYONE) as db:
        key = ground.bag[1]
        now = datetime.now(UTC)
        bulk.insert_rows(
            db,
            Kit,
            (
                "kit_id",
                "bag_recipient",
                "added",
                "bag_version",
                "session",
                "presence",
                "report_ses",
                "report_seq",
            ),
            [(name, key, now, 0, 0, "unknown", 0, 0) for name in names],
        )
    sequence, result = itertools.count(1), []
    for count in (SMALL, grown - SMALL):
        with town.database.engine.execution_options(thuisloket_writes=True).begin() as connection:
            connection.connection.cursor().execute(fill.format(count=count, health=health))
        times = []
        for _ in range(50):
            some = [
                report(f"kit-{next(sequence) * 7919 % GROWN_KITS:05d}", next(sequence)) for _ in range(BATCH)
            ]
            began = time.process_time()
            heard = ingest.take_all(town.database, some, datetime.now(UTC))
            assert {each.outcome for each in heard} == {"state"}
            times.append((time.process_time() - began) / BATCH * 1e6)
        result.append(statistics.median(times))
    town.close()
    return result[0], result[1]


def report(kit_id: str, seq: int) -> tuple[str, bytes]:
    body = Health(
        battery=80,
        mains=False,
        temperature_c=41,
        disk_free_mb=100_000,
        peripherals={"card": "ok", "fingerprint": "ok", "camera": "ok", "signpad": "ok"},
        sealed_waiting=1,
        oldest_waiting_s=60,
        reports_waiting=0,
        in_visit=True,
        uptime_s=seq,
    )
    topic, ts = topic_of(kit_id, Tail.HEALTH), instant(datetime.now(UTC))
    return topic, encode(
        topic, Envelope(v=1, id=new_ulid(), kit=kit_id, ses=1, seq=seq, ts=ts, ts_src="ntp", body=body)
    )


@contextmanager
def looking(database: Database) -> Iterator[Callable[[], int]]:
    """How many reports there are, asked so that looking fifty times a second costs next to nothing."""
    connection = database.engine.raw_connection()
    driver = connection.driver_connection
    assert driver is not None
    if database.postgresql:
        driver.autocommit = True

    def rows() -> int:
        return driver.execute("SELECT max(report_id) FROM report").fetchone()[0] or 0

    try:
        yield rows
    finally:
        connection.invalidate()


def say(result: IngestResult) -> None:
    print(f"ingest, QoS 1, acknowledged after the commit ({result.size.messages:,} reports a round)")
    for name, value in (
        ("the broker alone, C to C", result.limit),
        ("ours on SQLite", result.sqlite),
        ("ours on PostgreSQL", result.postgresql),
        ("paho alone, counting", result.paho),
        ("paho and a SQLite commit a message", result.bare),
    ):
        print(f"  {name:<44}{value:>9.0f} a second, {value / result.limit:.2f} of the broker")
    for name, values in result.rounds.items():
        print(f"    {name:<12} in each round {' '.join(f'{value:8.0f}' for value in values)}")
    for name, value in (("SQLite", result.sqlite_us), ("PostgreSQL", result.postgresql_us)):
        words = f"processor time a report, ours on {name}"
        print(f"  {words:<44}{value:>9.0f} us")
    print(f"  {'the same, paho alone, counting':<44}{result.paho_us:>9.0f} us")
    if result.size.grown:
        name = f"the same a row, at {SMALL:,} and at {result.size.grown:,}"
        print(f"  {name:<44}{result.row_small_us:>9.0f} and {result.row_large_us:.0f} us")
    for name, ratio, goal in result.goals():
        print(f"  {name:<53}{goal:6.2f}: {ratio:.2f}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--messages", type=int, default=WHOLE.messages)
    options.add_argument("--rounds", type=int, default=WHOLE.rounds)
    options.add_argument("--grown", type=int, default=WHOLE.grown, help="rows, 0: growth is not measured")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        say(measure(Path(folder), Size(chosen.messages, chosen.rounds, chosen.grown)))


if __name__ == "__main__":
    main()
