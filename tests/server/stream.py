"""A kit that talks as fast as the fleet keeps up, for tests of what is killed meanwhile."""

import itertools
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from protocol.ids import new_ulid
from protocol.messages import AccessEvent, Body, Envelope, Health, Presence, Receipts, decode, encode, instant
from protocol.mqtt5 import Publish, Will
from protocol.topics import Tail, kit_listens, topic_of
from server.broker.line import Line
from server.settings import Mqtt
from tests.mosquitto import until
from tests.server.town import Town

REPORTS = 50  # health reports to each event
AHEAD = 4_000  # reports beyond the oldest event that nobody has receipted: less than a broker keeps
AGAIN_S = 5.0


class Talker:
    """Health reports, each said once, and among them events, each said until a receipt names it.

    `reports` counts the former (`uptime_s` of each is its number, from 1), `events` holds the ids of the
    latter. Runs from its making until `hush`, and lets go of the broker at `close`."""

    def __init__(self, town: Town, port: int, kit_id: str) -> None:
        pki, name = town.ground.pki.folder, f"kit-tls-{kit_id}"
        self.kit_id, self.reports, self.events = kit_id, 0, list[str]()
        self._unheard: dict[
            str, tuple[str, bytes, float, int]
        ] = {}  # topic, bytes, when said, reports before
        self._session, self._seq = int(time.time() * 1000), itertools.count(1)
        self._lock, self._hushed, self._over = threading.Lock(), threading.Event(), threading.Event()
        self._line = Line(
            Mqtt(
                host="127.0.0.1",
                port=port,
                ca=town.ground.pki.roots,
                certificate=pki / f"{name}.pem",
                key=pki / f"{name}.key",
                client_id=kit_id,
            ),
            kit_listens(kit_id),
            lambda: Will(*self._message(Tail.PRESENCE, Presence("lost"))[:2], 30),
            self._hear,
            self._say_again,
        )
        self._threads = [
            threading.Thread(target=self._line.run, args=(self._over,), name=f"{kit_id} line"),
            threading.Thread(target=self._talk, name=kit_id),
        ]
        for thread in self._threads:
            thread.start()

    def unheard(self) -> int:
        with self._lock:
            return len(self._unheard)

    def hush(self, patience_s: float) -> None:
        """Say nothing new; until all events are receipted."""
        self._hushed.set()
        until(lambda: not self.unheard(), patience_s, f"receipts for {self.unheard()} events")

    def close(self) -> None:
        self._hushed.set()
        self._over.set()
        self._line.nudge()
        for thread in self._threads:
            thread.join()
        self._line.close()

    def _talk(self) -> None:
        while not self._over.is_set():
            with self._lock:
                oldest = min((before for *_, before in self._unheard.values()), default=self.reports)
                late = any(time.monotonic() - said > AGAIN_S for _, _, said, _ in self._unheard.values())
            if late and self._line.online.is_set():
                self._say_again()
            if self._hushed.is_set() or self.reports - oldest >= AHEAD or not self._line.online.is_set():
                time.sleep(0.01)
                continue
            for _ in range(REPORTS):
                self.reports += 1
                topic, data, _ = self._message(Tail.HEALTH, self._health())
                self._line.publish(topic, data)
            told, place = AccessEvent("pin-changed", "0" * 64), len(self.events) + 1
            topic, data, name = self._message(Tail.ACCESS, told, place)
            self.events.append(name)
            with self._lock:
                self._unheard[name] = (topic, data, time.monotonic(), self.reports)
            self._line.publish(topic, data)

    def _say_again(self, kept: bool = False) -> None:
        """All that is not receipted: as a kit does at every connect."""
        del kept
        with self._lock:
            again = list(self._unheard.items())
            for name, (topic, data, _, before) in again:
                self._unheard[name] = (topic, data, time.monotonic(), before)
        for _, (topic, data, *_) in again:
            self._line.publish(topic, data)

    def _hear(self, batch: Sequence[Publish]) -> None:
        for each in batch:
            body = decode(each.topic, each.payload).body
            if isinstance(body, Receipts):
                with self._lock:
                    for name in body.ids:
                        self._unheard.pop(name, None)

    def _health(self) -> Health:
        return Health(
            battery=80,
            mains=False,
            temperature_c=41,
            disk_free_mb=100_000,
            peripherals={"card": "ok", "camera": "ok"},
            sealed_waiting=0,
            oldest_waiting_s=0,
            reports_waiting=0,
            in_visit=True,
            uptime_s=self.reports,
        )

    def _message(self, tail: Tail, body: Body, place: int = 0) -> tuple[str, bytes, str]:
        """Topic, bytes and id; `place` is that of an event in the outbox."""
        topic = topic_of(self.kit_id, tail)
        envelope = Envelope(
            v=1,
            id=new_ulid(),
            kit=self.kit_id,
            ses=self._session,
            seq=place or next(self._seq),
            ts=instant(datetime.now(UTC)),
            ts_src="ntp",
            body=body,
        )
        return topic, encode(topic, envelope), envelope.id
