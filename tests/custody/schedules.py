"""Random schedules: each is one application, the weather it meets, and what is killed meanwhile; by seed."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from sqlalchemy import func, select

from competent.ledger import Ledger
from protocol.messages import ApplicationEvent, VisitEvent, encode_body
from protocol.sealed.receipt import verify_receipt
from protocol.topics import Tail
from server.db.scope import EVERYONE
from server.db.tables import Application, Message, Visit
from tests.custody.history import Given, History, Known, Taken
from tests.custody.stand import KitStand, Stand
from tests.custody.weather import BAD, Kind, Weather, forecast

DELIVERED_S = 180.0  # a schedule's weather lasts seconds; the rest is room for a loaded machine
LOOK_S = 0.2
COUNTED_EVERY_S = 0.25
REACH = 60_000  # bytes of a packet's upload and its TLS


@dataclass(frozen=True)
class Strike:
    """kill -9 of a program, `after_s` into the schedule, and its start `down_s` later."""

    program: str
    after_s: float
    down_s: float


@dataclass(frozen=True)
class Schedule:
    """One application's fate."""

    seed: int
    mqtt: tuple[Weather, ...]
    https: tuple[Weather, ...]
    uplink_killed_after_s: float | None
    strikes: tuple[Strike, ...]
    service: str  # how it treats the next application: accept, duplicate or lose


def draw(seed: int, programs: Sequence[str], often: float, kinds: tuple[Kind, ...] = BAD) -> Schedule:
    """The schedule of a seed. `often`: the share of schedules in which a program of the fleet is killed;
    `kinds`: of bad weather over the uploads."""
    chance = random.Random(seed)
    strikes: tuple[Strike, ...] = ()
    if chance.random() < often:
        strikes = (Strike(chance.choice(programs), chance.uniform(0, 0.8), chance.choice((0.0, 0.0, 0.4))),)
    return Schedule(
        seed,
        tuple(forecast(chance, 3, 4_000)),
        tuple(forecast(chance, 4, REACH, kinds)),
        chance.uniform(0, 0.6) if chance.random() < 0.15 else None,
        strikes,
        chance.choice(("accept", "accept", "accept", "duplicate", "lose")),
    )


@dataclass
class Run:
    """Plays schedules on a stand, each kit its share one after the other, and keeps the history."""

    stand: Stand
    kinds: tuple[Kind, ...] = BAD
    victims: tuple[str, ...] = ()  # programs that are killed; all, unless some are named
    history: History = field(default_factory=History)
    struck: Counter[str] = field(default_factory=Counter)
    played: int = 0

    def __post_init__(self) -> None:
        town = self.stand.town
        self._strikes: SimpleQueue[tuple[float, Strike]] = SimpleQueue()
        self._planning = threading.Lock()
        self._ledger = Ledger(self.stand.ledger)
        self._keys = town.recipients.public_receipt_keys()

    def play(self, seeds: Sequence[int], often: float) -> None:
        """Play the schedules of `seeds`; the history is complete when this returns."""
        shares = [seeds[number :: len(self.stand.kits)] for number in range(len(self.stand.kits))]
        with self._striking(), self._counting(), ThreadPoolExecutor(len(shares)) as pool:
            for done in [
                pool.submit(self._share, kit, share, often)
                for kit, share in zip(self.stand.kits, shares, strict=True)
            ]:
                done.result()
        self._close_books()

    def _share(self, kit: KitStand, seeds: Sequence[int], often: float) -> None:
        planned: list[Visit] = []
        for number, seed in enumerate(seeds):
            if not planned:
                with self._planning:
                    planned = self.stand.plan(kit.kit_id, min(10, len(seeds) - number))
            schedule = draw(seed, self.victims or self.stand.programs.names, often, self.kinds)
            self._one(kit, schedule, planned.pop(0))
            if self.history.complaints:
                return

    def _one(self, kit: KitStand, schedule: Schedule, visit: Visit) -> None:
        sealed = self.stand.town.packet(visit, kit.next_seq(), kit.kit_id)
        packet_id, manifest = sealed.manifest.packet_id, sealed.manifest_sha256
        if schedule.service != "accept":
            self._ledger.order(schedule.service, 1)
        kit.mqtt.expect(schedule.mqtt)
        kit.https.expect(schedule.https)
        begun = time.monotonic()
        for strike in schedule.strikes:
            self._strikes.put((begun + strike.after_s, strike))
        kit.spool.offer_packet(packet_id, sealed.data)
        told = ApplicationEvent(packet_id, visit.visit_id, "sealed", manifest)
        events = (
            kit.spool.report(Tail.VISIT, encode_body(Tail.VISIT, VisitEvent(visit.visit_id, "sealed"))),
            kit.spool.report(Tail.APPLICATION, encode_body(Tail.APPLICATION, told)),
        )
        self.history.given[packet_id] = Given(packet_id, kit.kit_id, visit.visit_id, manifest, events)
        if schedule.uplink_killed_after_s is not None:
            time.sleep(schedule.uplink_killed_after_s)
            kit.kill()
            kit.start()
        self._follow(kit, packet_id, schedule.seed)
        self.played += 1

    def _follow(self, kit: KitStand, packet_id: str, seed: int) -> None:
        """Until the receipt is here and nothing waits; what the kit is told must be true by then."""
        spool, end, uploaded = kit.spool, time.monotonic() + DELIVERED_S, False
        while time.monotonic() < end and not self.history.complaints:
            for refused, code in spool.refused():
                self.history.complaints.append(f"seed {seed}: {refused} refused: {code}")
            if kit.fallen:
                self.history.complaints.append(f"seed {seed}: the uplink of {kit.kit_id} fell over")
            if not uploaded and packet_id in spool.uploaded():
                uploaded = True
                self._must_be(packet_id, ("uploaded", "forwarded", "accepted"), seed, "the kit: uploaded")
            receipt = dict(spool.receipts()).get(packet_id)
            if receipt is not None and uploaded and spool.reports_waiting() == 0:
                self._must_be(packet_id, ("accepted",), seed, "the kit: receipt")
                self.history.receipted[packet_id] = verify_receipt(receipt, self._keys).manifest_sha256
                spool.drop_receipt(packet_id)
                spool.withdraw_packet(packet_id)
                return
            time.sleep(LOOK_S)
        if not self.history.complaints:
            self.history.complaints.append(f"seed {seed}: {packet_id} not delivered in {DELIVERED_S:.0f} s")

    def _must_be(self, packet_id: str, states: Sequence[str], seed: int, said: str) -> None:
        with self.stand.town.database.reading(EVERYONE) as db:
            row = db.get(Application, packet_id)
            state = "unknown" if row is None else str(row.state)
        if state not in states:
            self.history.complaints.append(f"seed {seed}: {packet_id} is {state} at the fleet, {said}")

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
            self.struck[strike.program] += 1

    @contextmanager
    def _counting(self) -> Iterator[None]:
        with _thread("counting", self._count):
            yield

    def _count(self, ended: threading.Event) -> None:
        while not ended.wait(COUNTED_EVERY_S):
            with self.stand.town.database.reading(EVERYONE) as db:
                rows = db.scalar(select(func.count()).select_from(Application)) or 0
                states = {
                    str(state): count
                    for state, count in db.execute(
                        select(Application.state, func.count()).group_by(Application.state)
                    )
                }
            self.history.counts.append((rows, states))
            for name in self.stand.programs.fallen():
                self.history.complaints.append(f"{name} fell over")

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
