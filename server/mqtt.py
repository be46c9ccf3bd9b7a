"""The fleet's end of MQTT: takes in what kits say, tells them what was committed, and rings their doorbells.

Plain subscriptions, never `$share`; every worker has its own fixed client id and a session kept for an hour;
clean start 0 and subscribing anew at every connect; a message is acknowledged only after its commit (facts
measured on mosquitto 2.0.11: docs/decisions/0072-ingest-by-plain-subscription.md).
"""

import ssl
import threading
import time
from collections.abc import Iterable, Mapping, Sequence

import structlog
from cryptography import x509
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from protocol.ids import new_ulid
from protocol.messages import MAX_BYTES, Body, Doorbell, Envelope, FleetState, Receipts, encode, instant
from protocol.topics import FLEET_LISTENS, Tail, topic_of
from server.db.engine import Database
from server.db.notices import Bell
from server.db.scope import EVERYONE
from server.fleet import outbox
from server.fleet.ingest import Heard
from server.fleet.intake import FULL, Delivery, Intake
from server.fleet.outbox import Claim
from server.settings import Mqtt
from server.work import utc_now

KEEPALIVE_S = 60
SESSION_EXPIRY_S = 3600
IDLE_S = 0.2
RUNG_S = 1.0  # the same where a bell rings for new work
WINDOW = 100  # pieces of work claimed at once; a batch of receipts is one message a kit
ANSWER_S = 20.0

log = structlog.get_logger()


class Ingest:
    """One MQTT worker. `run` returns when stopped, and raises what made it stop otherwise."""

    def __init__(self, database: Database, settings: Mqtt, roots: Sequence[x509.Certificate]) -> None:
        """`roots`: what the kits' signing certificates lead to."""
        self._database = database
        self._settings = settings
        self._session = int(time.time() * 1000)  # grows from start to start, as `ses` must
        self._sequence = 0
        self._stop = threading.Event()
        self._work = threading.Event()
        self._online = threading.Event()
        self._failure: BaseException | None = None
        self._unanswered: dict[int, threading.Event] = {}
        self._early: set[int] = set()  # answered before `_publish` knew the number
        self._lock = threading.Lock()
        self._client = self._make_client()
        self._intake = Intake(database, self._acknowledge, utc_now, roots)

    def run(self, stop: threading.Event) -> None:
        """Connect, and work until `stop` is set."""
        self._client.connect_async(
            self._settings.host,
            self._settings.port,
            keepalive=KEEPALIVE_S,
            clean_start=False,
            properties=_connect_properties(),
        )
        self._client.loop_start()
        intake = threading.Thread(target=self._take_in, name="intake")
        intake.start()
        bell = Bell(self._database, lambda queue: self._work.set())
        try:
            bell.start()
            while not stop.is_set() and not self._stop.is_set():
                if not (self._online.is_set() and self._send_some()):
                    self._work.wait(RUNG_S if self._database.postgresql else IDLE_S)
                    self._work.clear()
        finally:
            self._stop.set()
            intake.join()
            bell.stop()
            if self._online.is_set():
                self._say_state("lost").wait(2.0)
            self._client.disconnect()
            self._client.loop_stop()
        if self._failure is not None:
            raise self._failure

    def _make_client(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._settings.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=True,
            manual_ack=True,
        )
        context = ssl.create_default_context(cafile=str(self._settings.ca))
        context.load_cert_chain(self._settings.certificate, self._settings.key)
        client.tls_set_context(context)
        client.reconnect_delay_set(min_delay=1, max_delay=30)
        topic, payload = self._message("", Tail.FLEET, FleetState(s="lost"))
        client.will_set(topic, payload, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_connect_fail = lambda client, data: log.warning("broker not reached")
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        return client

    # --- callbacks, on paho's thread ------------------------------------------------------------------------

    def _on_connect(
        self, client: Client, data: object, flags: ConnectFlags, reason: ReasonCode, props: Properties | None
    ) -> None:
        del data, flags, props
        if reason.is_failure:
            log.warning("broker refused", reason=reason.value)
            return
        # Also when the session is present: the broker may have lost the subscriptions in a restart.
        client.subscribe([(topic, 1) for topic in FLEET_LISTENS])
        self._say_state("online")
        self._online.set()
        self._work.set()
        log.info("broker connected")

    def _on_disconnect(
        self,
        client: Client,
        data: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        props: Properties | None,
    ) -> None:
        del client, data, flags, props
        self._online.clear()
        log.warning("broker gone", reason=reason.value)

    def _on_message(self, client: Client, data: object, message: MQTTMessage) -> None:
        del client, data
        self._intake.put(Delivery(message.topic, bytes(message.payload), (message.mid, message.qos)))

    def _on_publish(
        self, client: Client, data: object, mid: int, reason: ReasonCode, props: Properties | None
    ) -> None:
        del client, data, props
        if reason.is_failure:
            # 0x10: the kit's session is over. It asks for its inbox, and sends its events again, at connect.
            log.info("not delivered", reason=reason.value)
        with self._lock:
            answered = self._unanswered.pop(mid, None)
            if answered is None:
                self._early.add(mid)
            else:
                answered.set()

    # --- what was heard, on the intake's thread -------------------------------------------------------------

    def _take_in(self) -> None:
        try:
            self._intake.run(self._stop)
        except Exception as problem:  # border: a thread would end unseen; the process must end
            # Not acknowledged: the broker keeps it, and the kit too, until a worker has committed it.
            log.error("ingest failed", exc_info=problem)
            self._failure = problem
            self._stop.set()

    def _acknowledge(self, batch: Sequence[Delivery], heard: Sequence[Heard]) -> None:
        for delivery in batch:
            self._client.ack(*delivery.ticket)
        events = [each for each in heard if each.event]
        if events:
            self._work.set()
        for each in events:
            log.info("heard", kit=each.kit_id, message=each.message_id, outcome=each.outcome)
        if len(events) < len(heard):
            log.debug("heard states", count=len(heard) - len(events))

    # --- what waits in the outbox, on our thread ------------------------------------------------------------

    def _send_some(self) -> bool:
        """Publish what waits for kits; False when nothing did."""
        now = utc_now()
        with self._database.reading(EVERYONE) as db:
            if not outbox.due(db, ["receipt", "doorbell"], now):
                return False
        with self._database.writing(EVERYONE) as db:
            claims = outbox.claim(db, ["receipt", "doorbell"], WINDOW, now)
        sent = [(message, self._publish(topic, body)) for message, topic, body in _messages(claims)]
        deadline = time.monotonic() + ANSWER_S
        answered = {
            claim
            for same, answer in sent
            if answer.wait(max(0.0, deadline - time.monotonic()))
            for claim in same
        }
        with self._database.writing(EVERYONE) as db:
            for claim in claims:
                if claim in answered:
                    outbox.done(db, claim)
                else:
                    outbox.again(db, claim, utc_now(), "broker-silent")
        return True

    def _say_state(self, state: str) -> threading.Event:
        body = FleetState(s="online" if state == "online" else "lost")
        return self._publish(("", Tail.FLEET), body, retain=True)

    def _publish(self, about: tuple[str, Tail], body: Body, *, retain: bool = False) -> threading.Event:
        """Hand to paho; the event is set once the broker has answered for it."""
        topic, payload = self._message(*about, body)
        answered = threading.Event()
        mid = self._client.publish(topic, payload, qos=1, retain=retain).mid
        # Not held while publishing: paho calls `_on_publish` under a lock that publishing takes too.
        with self._lock:
            if mid in self._early:
                self._early.remove(mid)
                answered.set()
            else:
                self._unanswered[mid] = answered
        return answered

    def _message(self, kit_id: str, tail: Tail, body: Body) -> tuple[str, bytes]:
        self._sequence += 1
        topic = topic_of(kit_id, tail)
        envelope = Envelope(
            v=1,
            id=new_ulid(),
            kit=kit_id,
            ses=self._session,
            seq=self._sequence,
            ts=instant(utc_now()),
            ts_src="ntp",
            body=body,
        )
        return topic, encode(topic, envelope)


def _messages(claims: Iterable[Claim]) -> list[tuple[list[Claim], tuple[str, Tail], Body]]:
    """One message a kit for all its receipts, and one for all its doorbells."""
    by_kit: dict[tuple[str, str], list[Claim]] = {}
    for claim in claims:
        by_kit.setdefault((claim.queue, claim.subject), []).append(claim)
    messages: list[tuple[list[Claim], tuple[str, Tail], Body]] = []
    for (queue, kit_id), same in by_kit.items():
        if queue == "receipt":
            ids = tuple(dict.fromkeys(claim.body for claim in same))
            messages.append((same, (kit_id, Tail.RECEIPTS), Receipts(ids=ids)))
        else:
            messages.append((same, (kit_id, Tail.DOORBELL), Doorbell(job="inbox")))
    return messages


def _connect_properties() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho leaves it so
    settings: Mapping[str, int] = {
        "SessionExpiryInterval": SESSION_EXPIRY_S,
        "ReceiveMaximum": FULL + 100,  # a batch, and the beginning of the next
        "MaximumPacketSize": MAX_BYTES + 1024,
    }
    for name, value in settings.items():
        setattr(properties, name, value)
    return properties
