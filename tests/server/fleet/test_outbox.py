"""Work that must happen: claimed once, given back when its worker dies, done at least once."""

import signal
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

from server.db.scope import EVERYONE
from server.db.tables import OutboxRow
from server.fleet import outbox
from server.fleet.outbox import LEASE
from tests.mosquitto import until
from tests.server.town import Town

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def put(town: Town, *subjects: str, at: datetime = NOW) -> None:
    with town.database.writing(EVERYONE) as db:
        for subject in subjects:
            outbox.put(db, "forward", subject, at)


def claim(town: Town, now: datetime = NOW, limit: int = 10) -> list[outbox.Claim]:
    with town.database.writing(EVERYONE) as db:
        return outbox.claim(db, ["forward"], limit, now)


def test_what_is_claimed_is_nobody_elses_until_the_lease_ends(town: Town) -> None:
    put(town, "a", "b")
    assert [each.subject for each in claim(town, limit=1)] == ["a"]
    assert [each.subject for each in claim(town)] == ["b"]
    assert claim(town, NOW + LEASE - timedelta(seconds=1)) == []
    again = claim(town, NOW + LEASE + timedelta(seconds=1))
    assert [(each.subject, each.attempts) for each in again] == [("a", 2), ("b", 2)]


def test_a_worker_that_overslept_cannot_finish_what_another_has_claimed(town: Town) -> None:
    put(town, "a")
    (late,) = claim(town)
    (now,) = claim(town, NOW + LEASE * 2)
    with town.database.writing(EVERYONE) as db:
        assert not outbox.done(db, late)
        outbox.again(db, late, NOW, "late")
        assert outbox.done(db, now)
    with town.database.reading(EVERYONE) as db:
        assert outbox.waiting(db).get("forward") is None


def test_what_failed_comes_back_later_and_later(town: Town) -> None:
    put(town, "a")
    (first,) = claim(town)
    with town.database.writing(EVERYONE) as db:
        outbox.again(db, first, NOW, "x" * 200)
    assert claim(town) == []
    (second,) = claim(town, NOW + timedelta(seconds=2))
    assert second.attempts == 2
    waits = [[outbox.backoff_s(attempts) for _ in range(50)] for attempts in (1, 4, 30)]
    assert all(0.5 <= wait <= 1 for wait in waits[0])
    assert all(4 <= wait <= 8 for wait in waits[1])
    assert all(150 <= wait <= 300 for wait in waits[2])


def test_the_same_work_waits_once_until_somebody_begins_it(town: Town) -> None:
    with town.database.writing(EVERYONE) as db:
        for _ in range(3):
            outbox.put_once(db, "doorbell", "kit-x", NOW)
    with town.database.writing(EVERYONE) as db:
        assert len(outbox.claim(db, ["doorbell"], 10, NOW)) == 1
        outbox.put_once(db, "doorbell", "kit-x", NOW)
    with town.database.reading(EVERYONE) as db:
        assert outbox.waiting(db)["doorbell"] == 2


def test_four_threads_never_hold_the_same_row(town: Town) -> None:
    put(town, *(str(number) for number in range(40)))
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def work() -> None:
        while claims := claim(town, limit=3):
            with lock:
                seen.update(each.subject for each in claims)
            with town.database.writing(EVERYONE) as db:
                for each in claims:
                    assert outbox.done(db, each)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == Counter({str(number): 1 for number in range(40)})


WORKER = """
import sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
import server.fleet.outbox as outbox
from server.db.engine import Database
from server.db.scope import EVERYONE

outbox.LEASE = timedelta(seconds=1)
database = Database(sys.argv[1])
done = Path(sys.argv[2])
while True:
    with database.writing(EVERYONE) as db:
        claims = outbox.claim(db, ["forward"], 1, datetime.now(UTC))
    for claim in claims:
        with done.open("a") as file:
            file.write(claim.subject + "\\n")
        with database.writing(EVERYONE) as db:
            outbox.done(db, claim)
    time.sleep(0 if claims else 0.05)
"""


def test_no_work_is_lost_when_its_worker_is_killed_again_and_again(town: Town, tmp_path: Path) -> None:
    wanted = {str(number) for number in range(120)}
    put(town, *wanted, at=datetime.now(UTC))
    done = tmp_path / "done"
    done.touch()
    url = town.config.database_url

    def did() -> list[str]:
        return done.read_text().split()

    for _ in range(3):
        before = len(did())
        worker = subprocess.Popen([sys.executable, "-c", WORKER, url, str(done)])
        try:
            until(lambda: len(did()) > before + 5 or wanted <= set(did()), 60, "some work")  # noqa: B023
        finally:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
    worker = subprocess.Popen([sys.executable, "-c", WORKER, url, str(done)])
    try:

        def left() -> int:
            with town.database.reading(EVERYONE) as db:
                return db.scalar(select(func.count()).select_from(OutboxRow)) or 0

        until(lambda: left() == len(OTHER), 60, "all work")
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert set(did()) == wanted
    assert len(did()) <= len(wanted) + 3  # one a kill at most was done twice


OTHER = ("bag", "broker") * 2  # of the town's two kits, which nobody here works on
