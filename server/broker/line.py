"""The ingest's session with the broker: one thread reads and acknowledges, another takes in what was read,
a batch at a time.

They meet once a batch, not once a message, which would pass the interpreter's lock to and fro. While the
database works on a batch the next one is read. The broker may go on sending, up to RECEIVE_MAXIMUM and its
own limit: what is not read yet lies in the kernel's buffers.
"""

import os
import random
import select
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

from protocol import mqtt5
from protocol.messages import MAX_BYTES
from protocol.mqtt5 import BadPacket, Connack, Decoder, Disconnected, Puback, Publish, Suback, Will
from server.broker.stream import Stream
from server.settings import Mqtt

FULL = 2000  # messages in a batch, about: what one read brings stays together
RECEIVE_MAXIMUM = 4000  # so that the next batch is on its way while one is committed
MOMENT_S = 0.002  # a batch is complete when this long nothing more comes
LARGE = 65_536  # bytes in one read: more is waiting than can be taken, so there is nothing to wait for
TICK_S = 0.5
PATIENCE_S = 10.0
KEEPALIVE_S = 60
SUBSCRIBES = 65_535  # the packet identifier that no PUBLISH of ours gets
MAX_PACKET = MAX_BYTES + 1024
LONGEST_WAIT_S = 30.0
LASTED_S = 5.0  # a session that lasted so long was a good one

log = structlog.get_logger()


class NotAdmitted(Exception):
    """The broker refused the session or a subscription."""


@dataclass
class _Sent:
    topic: str
    payload: bytes
    retain: bool
    tried: bool = False
    answered: threading.Event = field(default_factory=threading.Event)


class Line:
    """`topics` are subscribed to at every connect. `take` gets each batch, one after the other on a thread of
    their own: it is acknowledged when `take` returns. `up` is called, on the thread of `run`, whenever the
    broker is reached, with whether it still had our session; no batch is being taken in then."""

    def __init__(
        self,
        settings: Mqtt,
        topics: Sequence[str],
        will: Callable[[], Will],
        take: Callable[[Sequence[Publish]], None],
        up: Callable[[bool], None],
    ) -> None:
        self._settings, self._topics, self._will, self._take, self._up = settings, topics, will, take, up
        self.online = threading.Event()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()
        self._number = 0
        self._unsent: deque[int] = deque()
        self._unanswered: dict[int, _Sent] = {}  # sent or not
        self._room = 0  # how many more the broker takes unanswered
        self._heard = self._said = 0.0
        self._taker = ThreadPoolExecutor(1, "take")
        self._taking: tuple[Future[None], list[int]] | None = None  # and whom to acknowledge when it is done

    def run(self, stop: threading.Event) -> None:
        """Connect, and connect again, until `stop` (then `nudge`). What `take` raises ends it."""
        attempts = 0
        while not stop.is_set():
            began = time.monotonic()
            try:
                self._session(stop)
            except (OSError, BadPacket, NotAdmitted) as problem:
                said = "broker gone" if self.online.is_set() else "broker not reached"
                log.warning(said, why=type(problem).__name__, detail=str(problem)[:200])
                attempts = 1 if time.monotonic() - began > LASTED_S else attempts + 1
                longest = min(LONGEST_WAIT_S, 2.0 ** min(attempts, 10) / 4)
                self.online.clear()
                stop.wait(longest * random.uniform(0.5, 1.0))  # noqa: S311 (no secret depends on it)

    def close(self) -> None:
        """Once `run` has returned."""
        self._taker.shutdown()
        os.close(self._wake)

    def nudge(self) -> None:
        """Look at once whether there is something to send, or to stop for."""
        os.eventfd_write(self._wake, 1)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> threading.Event:
        """Send at QoS 1, from any thread; set once the broker has answered, which outlives a reconnect."""
        sent = _Sent(topic, payload, retain)
        with self._lock:
            while True:
                self._number = self._number % (SUBSCRIBES - 1) + 1
                if self._number not in self._unanswered:
                    break
            self._unanswered[self._number] = sent
            self._unsent.append(self._number)
        self.nudge()
        return sent.answered

    # --- one connection -------------------------------------------------------------------------------------

    def _session(self, stop: threading.Event) -> None:
        settings = self._settings
        context = ssl.create_default_context(cafile=str(settings.ca))
        context.load_cert_chain(settings.certificate, settings.key)
        stream, decoder = Stream(settings.host, settings.port, context, PATIENCE_S), Decoder(MAX_PACKET)
        try:
            welcome, early = self._greet(stream, decoder)
            with self._lock:
                self._room = welcome.receive_maximum
                self._unsent = deque(self._unanswered)  # what the last connection left unanswered goes first
            self._heard = self._said = time.monotonic()
            self.online.set()
            self._up(welcome.session_present)
            log.info("broker connected", session_kept=welcome.session_present)
            self._serve(stream, decoder, self._sort(early), stop)
        finally:
            stream.close()
            if self._taking is not None:  # its batch comes before whatever the next session brings
                taking, self._taking = self._taking[0], None
                taking.result()
        self.online.clear()

    def _greet(self, stream: Stream, decoder: Decoder) -> tuple[Connack, Sequence[mqtt5.Packet]]:
        """The broker's welcome, and what came with it: a session that was kept goes on at once."""
        will, client_id = self._will(), self._settings.client_id
        stream.write(mqtt5.connect(client_id, KEEPALIVE_S, mqtt5.KEPT_S, RECEIVE_MAXIMUM, MAX_PACKET, will))
        packets: list[mqtt5.Packet] = []
        while not packets:
            packets = decoder.feed(stream.read())
        welcome, *early = packets
        if not isinstance(welcome, Connack):
            raise BadPacket("no CONNACK")
        if welcome.reason >= mqtt5.REFUSED:
            raise NotAdmitted(f"CONNACK {welcome.reason:#x}")
        # Also when the session is present: the broker may have lost the subscriptions in a restart.
        stream.write(mqtt5.subscribe(SUBSCRIBES, self._topics))
        return welcome, early

    def _serve(self, stream: Stream, decoder: Decoder, batch: list[Publish], stop: threading.Event) -> None:
        """`batch`: what is read, and not yet being taken in."""
        poll, full = select.poll(), select.poll()
        poll.register(stream, select.POLLIN)
        for each in (poll, full):
            each.register(self._wake, select.POLLIN)
        while not stop.is_set():
            self._send(stream)
            if batch and self._taking is None:
                self._begin(batch)
                batch = []
            room = len(batch) < FULL
            ready = {each for each, _ in (poll if room else full).poll(TICK_S * 1000)}
            if self._wake in ready:
                os.eventfd_read(self._wake)
            self._end(stream, wait=False)
            if stream.fileno() in ready:
                batch = self._gather(stream, decoder, batch)
            self._keep_alive(stream, reads=room)
        self._end(stream, wait=True)
        stream.write(mqtt5.DISCONNECT)

    def _begin(self, batch: Sequence[Publish]) -> None:
        taking = self._taker.submit(self._take, batch)
        self._taking = taking, [each.number for each in batch if each.number]
        taking.add_done_callback(lambda _: self.nudge())

    def _end(self, stream: Stream, *, wait: bool) -> None:
        """Acknowledge the batch that is taken in. Raises what `take` did."""
        if self._taking is not None and (wait or self._taking[0].done()):
            (taking, numbers), self._taking = self._taking, None
            taking.result()
            stream.write(mqtt5.pubacks(numbers))
            self._said = time.monotonic()

    def _gather(self, stream: Stream, decoder: Decoder, batch: list[Publish]) -> list[Publish]:
        """`batch` and what comes, as long as more comes and there is room."""
        piece = stream.read()
        batch = batch + self._sort(decoder.feed(piece))
        poll = select.poll()
        poll.register(stream, select.POLLIN)
        while 0 < len(batch) < FULL:
            if len(piece) < LARGE:
                time.sleep(MOMENT_S)
            if not poll.poll(0):
                break
            piece = stream.read()
            batch += self._sort(decoder.feed(piece))
        self._heard = time.monotonic()
        return batch

    def _sort(self, packets: Iterable[mqtt5.Packet]) -> list[Publish]:
        batch = []
        for packet in packets:
            if isinstance(packet, Publish):
                batch.append(packet)
            elif isinstance(packet, Puback):
                self._answered(packet)
            elif isinstance(packet, Suback) and any(reason >= mqtt5.REFUSED for reason in packet.reasons):
                raise NotAdmitted(f"a subscription was refused: {packet.reasons.hex()}")
            elif isinstance(packet, Disconnected):
                raise ConnectionError(f"the broker said goodbye: {packet.reason:#x}")
        return batch

    def _answered(self, packet: Puback) -> None:
        if packet.reason >= mqtt5.REFUSED or packet.reason == 0x10:
            # 0x10: the kit's session is over. It asks for its inbox, and sends its events again, at connect.
            log.info("not delivered", reason=packet.reason)
        with self._lock:
            sent = self._unanswered.pop(packet.number, None)
            self._room += sent is not None
        if sent is not None:
            sent.answered.set()

    def _send(self, stream: Stream) -> None:
        pieces = []
        with self._lock:
            while self._unsent and self._room:
                number = self._unsent.popleft()
                sent = self._unanswered[number]
                pieces.append(
                    mqtt5.publish(sent.topic, sent.payload, number, retain=sent.retain, again=sent.tried)
                )
                sent.tried = True
                self._room -= 1
        if pieces:
            stream.write(b"".join(pieces))
            self._said = time.monotonic()

    def _keep_alive(self, stream: Stream, *, reads: bool) -> None:
        now = time.monotonic()
        if now - self._said > KEEPALIVE_S / 2:
            stream.write(mqtt5.PINGREQ)
            self._said = now
        if not reads:
            self._heard = now  # nobody listens to it
        elif now - self._heard > 1.5 * KEEPALIVE_S:
            raise ConnectionError("the broker is silent")
