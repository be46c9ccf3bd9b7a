"""A run: schedules played on a stand, many kits at once, with somebody who kills and somebody who counts.

A schedule is one seed: one application (and a second packet when the service asks for a part again), sealed
on one kit, the weather its kit's connections meet one by one, the way it goes, and what is killed meanwhile:
its kit, the import of its stick, or a program that all kits share. It is over when its receipt is verified on
its kit and nothing of it waits; everything is judged once more when the run is.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from sqlalchemy import func, select

from competent.ledger import Ledger
from server.db.scope import EVERYONE
from server.db.tables import Application, Message, Visit
from server.fleet import tally, uploads
from server.work import utc_now
from tests.custody.draw import Climate, Strike, draw
from tests.custody.history import History, Known, Look, Taken
from tests.custody.journeys import ANSWERED, ARRIVED, Journey
from tests.custody.programs import NAMES
from tests.custody.stand import KitStand, Stand

LOOK_S = 0.5
USUAL = Climate(NAMES)


@dataclass
class Run:
    """Plays schedules on a stand, each kit one after the other, and keeps the history."""

    stand: Stand
    climate: Climate = USUAL
    history: History = field(default_factory=History)
    struck: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    played: int = 0

    def __post_init__(self) -> None:
        self._strikes: SimpleQueue[tuple[float, Strike]] = SimpleQueue()
        self._waiting: SimpleQueue[int] = SimpleQueue()
        self._turn = threading.Lock()
        self._ledger = Ledger(self.stand.ledger)
        self.keys = self.stand.town.recipients.public_receipt_keys()

    def play(self, seeds: Sequence[int]) -> None:
        """Play the schedules of `seeds`; the history is complete when this returns."""
        for seed in seeds:
            self._waiting.put(seed)
        with self._striking(), self._counting(), ThreadPoolExecutor(len(self.stand.kits)) as pool:
            shares = [pool.submit(self._share, kit) for kit in self.stand.kits]
            try:
                for done in shares:
                    done.result()
            except BaseException:
                self.history.complaints.append("the run was broken off")  # nobody waits any longer
                raise
        self._close_books()

    def begin_no_more(self) -> None:
        """What has begun is played to its end. May be called from any thread."""
        with suppress(Empty):
            while True:
                self._waiting.get_nowait()

    def summary(self) -> dict[str, object]:
        """What was met, in figures."""
        return {
            "schedules": self.played,
            "packets": len(self.history.given),
            "again": sum(bool(given.supplements) for given in self.history.given.values()),
            "ways": dict(self.ways),
            "crossings": sum(kit.crossings for kit in self.stand.kits),
            "killed": dict(self.struck),
            "connections": dict(self.stand.sky.met),
            "looks": len(self.history.looks),
        }

    def plan_again(self, kit: KitStand, visit: Visit) -> Visit:
        """A short visit for the part that is asked again."""
        with self._turn:
            return self.stand.plan_again(kit.kit_id, visit)

    def _share(self, kit: KitStand) -> None:
        planned: list[Visit] = []
        while not self.history.complaints:
            try:
                seed = self._waiting.get_nowait()
            except Empty:
                return
            if not planned:
                with self._turn:
                    planned = self.stand.plan(kit.kit_id)
            schedule = draw(seed, self.climate)
            if schedule.order != "accept":
                self._ledger.order(schedule.order, 1)
            begun = time.monotonic()
            for strike in schedule.strikes:
                self._strikes.put((begun + strike.after_s, strike))
            Journey(self, kit, schedule).play(planned.pop(0))
            with self._turn:
                self.played += 1
                self.ways[schedule.way] += 1
                self.struck["kit"] += schedule.uplink_killed_after_s is not None

    @contextmanager
    def _striking(self) -> Iterator[None]:
        """One thread kills and starts, one program after the other; all are up when the block is left."""
        with _thread("strikes", self._strike):
            yield

    def _strike(self, ended: threading.Event) -> None:
        while not (ended.is_set() and self._strikes.empty()):
            try:
                due, strike = self._strikes.get(timeout=0.1)
            except Empty:
                continue
            time.sleep(max(0.0, due - time.monotonic()))
            self.stand.programs.kill(strike.program)
            time.sleep(strike.down_s)
            self.stand.programs.start(strike.program)
            with self._turn:
                self.struck[strike.program] += 1

    @contextmanager
    def _counting(self) -> Iterator[None]:
        with _thread("counting", self._count):
            yield

    def _count(self, ended: threading.Event) -> None:
        while not ended.wait(LOOK_S):
            self.history.looks.append(self._look())
            for name in self.stand.programs.fallen():
                self.history.complaints.append(f"{name} fell over")

    def _look(self) -> Look:
        """From the receipts on the kits backwards, each figure read before the one it cannot exceed."""
        receipted = len(self.history.receipted)
        states = self._states()
        taken = self._ledger.count()
        later = self._states()
        with self.stand.town.database.reading(EVERYONE) as db:
            figures, _ = tally.tally(db)
        return Look(
            receipted=receipted,
            answered=sum(states[state] for state in ANSWERED),
            taken=taken.accepted + taken.rejected + taken.recapture,
            arrived=sum(later[state] for state in ARRIVED),
            created=sum(later.values()),
            given=len(self.history.given),
            tally=(figures.created, figures.queued, figures.sent, figures.accepted, figures.refused),
        )

    def _states(self) -> Counter[str]:
        with self.stand.town.database.reading(EVERYONE) as db:
            rows = db.execute(select(Application.state, func.count()).group_by(Application.state))
            return Counter({str(state): count for state, count in rows})

    def _close_books(self) -> None:
        """Read what everyone has once nothing moves any more."""
        town, history = self.stand.town, self.history
        history.taken = [
            Taken(line.packet_id, line.visit_id, line.manifest_sha256, line.verdict)
            for line in self._ledger.everything()
        ]
        with town.database.reading(EVERYONE) as db:
            rows = db.execute(select(Application.packet_id, Application.state, Application.manifest_sha256))
            history.known = [Known(packet, str(state), manifest or "") for packet, state, manifest in rows]
            history.heard = Counter(db.scalars(select(Message.message_id)))
        uploads.sweep(town.database, town.dock, utc_now())  # as the fleet does by the clock
        parts = town.config.data / "uploads"
        history.left += [path.name for path in parts.iterdir()] if parts.exists() else []
        for kit in self.stand.kits:
            history.left += [f"{kit.kit_id}: {name}" for name in kit.spool.offered()]


@contextmanager
def _thread(name: str, work: Callable[[threading.Event], None]) -> Iterator[None]:
    """`work` on a thread of its own until the block is left; what went wrong in it is raised here."""
    ended = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix=name) as pool:
        working = pool.submit(work, ended)
        try:
            yield
        finally:
            ended.set()
            working.result()
