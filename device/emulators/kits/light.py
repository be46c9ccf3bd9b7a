"""One light kit: its session with the broker, its outbox, its applications."""

import asyncio
import random
import ssl
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from protocol import mqtt5
from protocol.ids import new_ulid
from protocol.messages import (
    MAX_BYTES,
    ApplicationEvent,
    BadMessage,
    Birth,
    Body,
    Envelope,
    Health,
    Presence,
    Receipts,
    VisitEvent,
    decode,
    encode,
    instant,
)
from protocol.mqtt5 import BadPacket, Connack, Decoder, Publish, Suback, Will
from protocol.topics import Tail, kit_listens, topic_of

KEEPALIVE_S = 60
RECEIVE_MAXIMUM = 8
MAX_PACKET = 2 * MAX_BYTES
RECEIPT_S = 30.0
LONGEST_WAIT_S = 60.0


@dataclass(frozen=True)
class Application:
    """A sealed application made ahead: the file as docs/protocol.md 3 has it."""

    packet_id: str
    visit_id: str
    manifest_sha256: str


@dataclass
class Shared:
    """What all kits of a run have in common."""

    host: str
    port: int
    ca: Path
    every_s: float
    doors: asyncio.Semaphore  # so many may connect at a time
    seen: Counter[str] = field(default_factory=Counter)
    took_ms: list[int] = field(default_factory=list)  # each application, until the fleet had all of it

    def handed_in(self) -> dict[str, int]:
        """What an application took, in milliseconds: half of them at most, all but one in a hundred, the
        slowest."""
        took = sorted(self.took_ms)
        places = {"p50_ms": len(took) // 2, "p99_ms": len(took) * 99 // 100, "worst_ms": len(took) - 1}
        return {name: took[place] for name, place in places.items()} if took else {}


class LightKit:
    def __init__(self, kit_id: str, certificate: Path, key: Path, shared: Shared) -> None:
        self.kit_id, self._certificate, self._key, self._shared = kit_id, certificate, key, shared
        self._session = int(time.time() * 1000)  # it keeps none between runs
        self._seq = self._place = self._number = 0
        self._began = time.monotonic()
        self._outbox: dict[str, tuple[bytes, float]] = {}  # message id -> packet's body, when sent last
        self._topics: dict[str, str] = {}
        self.waiting = 0  # applications not yet uploaded, as health tells

    @property
    def unheard(self) -> int:
        return len(self._outbox)

    def context(self) -> ssl.SSLContext:
        """For broker and fleet alike; made anew each time: a thousand of them are not kept."""
        context = ssl.create_default_context(cafile=str(self._shared.ca))
        context.load_cert_chain(self._certificate, self._key)
        return context

    def tell(self, application: Application) -> None:
        """Put into the outbox what a kit says of a visit that has been sealed."""
        told = ApplicationEvent(
            application.packet_id, application.visit_id, "sealed", application.manifest_sha256
        )
        for tail, body in (
            (Tail.VISIT, VisitEvent(application.visit_id, "opened")),
            (Tail.VISIT, VisitEvent(application.visit_id, "sealed")),
            (Tail.APPLICATION, told),
        ):
            self._place += 1
            topic, data, name = self._message(tail, body, self._place)
            self._outbox[name], self._topics[name] = (data, 0.0), topic

    async def live(self) -> None:
        """Connect, and connect again after each loss, until cancelled: then it says `off`."""
        attempts = 0
        while True:
            try:
                async with self._shared.doors:
                    reader, writer = await self._connect()
                try:
                    await self._serve(reader, writer)
                finally:
                    writer.transport.abort()
            except (OSError, BadPacket, asyncio.IncompleteReadError) as problem:
                self._shared.seen[f"lost-{type(problem).__name__}"] += 1
                attempts += 1
                longest = min(LONGEST_WAIT_S, 2.0 ** min(attempts, 6))
                await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 (no secret depends on it)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._session += 1
        self._seq = 0
        topic, lost, _ = self._message(Tail.PRESENCE, Presence("lost"))
        shared = self._shared
        reader, writer = await asyncio.open_connection(shared.host, shared.port, ssl=self.context())
        hello = mqtt5.connect(
            self.kit_id, KEEPALIVE_S, 7 * 86_400, RECEIVE_MAXIMUM, MAX_PACKET, Will(topic, lost, 30)
        )
        writer.write(hello + mqtt5.subscribe(65_535, kit_listens(self.kit_id)))
        return reader, writer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        speaking = asyncio.ensure_future(self._speak(writer))
        try:
            await self._hear(reader, writer)
        except asyncio.CancelledError:
            writer.write(self._state(Tail.PRESENCE, Presence("off")) + mqtt5.DISCONNECT)
            await asyncio.sleep(0)
            writer.close()
            raise
        finally:
            speaking.cancel()

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = Decoder(MAX_PACKET)
        while data := await reader.read(65_536):
            for packet in decoder.feed(data):
                if isinstance(packet, Connack) and packet.reason >= mqtt5.REFUSED:
                    raise BadPacket(f"refused: {packet.reason}")
                if isinstance(packet, Suback):
                    if any(reason >= mqtt5.REFUSED for reason in packet.reasons):
                        raise BadPacket("a subscription was refused")
                    self._shared.seen["connected"] += 1
                elif isinstance(packet, Publish):
                    self._take(packet)
                    writer.write(mqtt5.pubacks([packet.number]))
                elif isinstance(packet, mqtt5.Disconnected):
                    raise BadPacket("the broker said goodbye")
        raise ConnectionError("closed by the broker")

    def _take(self, packet: Publish) -> None:
        try:
            body = decode(packet.topic, packet.payload).body
        except BadMessage:
            self._shared.seen["not-understood"] += 1
            return
        if isinstance(body, Receipts):
            for name in body.ids:
                if self._outbox.pop(name, None) is not None:
                    del self._topics[name]
                    self._shared.seen["receipted"] += 1

    async def _speak(self, writer: asyncio.StreamWriter) -> None:
        birth = Birth(
            version="0.1.0",
            started=instant(datetime.now(UTC)),
            peripherals=(),
            certificate_until="2030-01-01T00:00:00Z",
            protection="reduced",
            test_trust=True,
        )
        writer.write(self._state(Tail.PRESENCE, Presence("online")) + self._state(Tail.BIRTH, birth))
        due = time.monotonic() + random.uniform(0, self._shared.every_s)  # noqa: S311 (no secret)
        while True:
            now = time.monotonic()
            if now >= due:
                due += self._shared.every_s
                writer.write(self._state(Tail.HEALTH, self._health()))
                self._shared.seen["health"] += 1
            for name in self._unsent(now):
                data, _ = self._outbox[name]
                self._outbox[name] = (data, now)
                writer.write(mqtt5.publish(self._topics[name], data, self._next()))
                self._shared.seen["events"] += 1
            await writer.drain()
            await asyncio.sleep(min(1.0, max(0.05, due - time.monotonic())))

    def _unsent(self, now: float) -> list[str]:
        """Those in their turn, a few at a time."""
        return [name for name, (_, sent) in self._outbox.items() if not sent or now - sent > RECEIPT_S][:4]

    def _health(self) -> Health:
        return Health(
            battery=80,
            mains=False,
            temperature_c=41,
            disk_free_mb=100_000,
            peripherals={"card": "ok", "fingerprint": "ok", "camera": "ok", "signpad": "ok"},
            sealed_waiting=self.waiting,
            oldest_waiting_s=0,
            reports_waiting=len(self._outbox),
            in_visit=False,
            uptime_s=int(time.monotonic() - self._began),
        )

    def _state(self, tail: Tail, body: Body) -> bytes:
        topic, data, _ = self._message(tail, body)
        return mqtt5.publish(topic, data, self._next(), retain=True)

    def _message(self, tail: Tail, body: Body, place: int = 0) -> tuple[str, bytes, str]:
        """Topic, bytes and id; `place` is that of an event in the outbox."""
        self._seq += 1
        topic = topic_of(self.kit_id, tail)
        envelope = Envelope(
            v=1,
            id=new_ulid(),
            kit=self.kit_id,
            ses=self._session,
            seq=place or self._seq,
            ts=instant(datetime.now(UTC)),
            ts_src="ntp",
            body=body,
        )
        return topic, encode(topic, envelope), envelope.id

    def _next(self) -> int:
        self._number = self._number % 60_000 + 1
        return self._number
