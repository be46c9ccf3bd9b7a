"""One MQTT session with the broker, from CONNECT to its end, in one thread.

A session has its own paho client. One that lives on would send again what it holds in memory, for ever if
that is oversized; what must arrive lies in the outbox, and the broker keeps the session by the kit's id. The
loop is ours (paho's external-loop calls): its own `loop` and `loop_start` open a TCP pair on 127.0.0.1 to
wake themselves, which the sandbox of the unit does not allow.
"""

import os
import select
import ssl
import time
from collections.abc import Callable
from itertools import islice
from typing import Any, Literal

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from device.spool.hatch import Hatch
from device.spool.past import PastHatch
from device.spool.steering_hatch import SteeringHatch
from device.uplink.bundles import bundles
from device.uplink.dialect import Version
from device.uplink.envelopes import Envelopes
from device.uplink.problems import LinkDown, code_of
from device.uplink.questions import Questions
from device.uplink.settings import UplinkSettings
from device.uplink.slip import Slip
from device.uplink.standing import Standing
from device.uplink.tls import context
from device.uplink.window import PUBACK_SUCCESS, Window
from protocol import ferry
from protocol.messages import (
    MAX_BYTES,
    BadMessage,
    Body,
    Doorbell,
    FleetState,
    Notice,
    Presence,
    Receipts,
    decode,
    decode_body,
)
from protocol.messages.batch import MOST
from protocol.mqtt5 import KEPT_S
from protocol.topics import Tail, kit_listens

log = structlog.get_logger()

PLACES = 8  # messages with events under way at a time, and what we take from the broker unacknowledged
_STATES = 6 + ferry.WINDOW  # presence, birth, health, reported, two questions and pieces, beside the events
_TICK_S = 1.0  # keepalive and time-outs are looked at this often
_SHOWN: dict[Literal["birth", "health", "reported"], Tail] = {
    "birth": Tail.BIRTH,
    "health": Tail.HEALTH,
    "reported": Tail.REPORTED,
}


class Session:
    """`wake` is a file descriptor that becomes readable when the spool has something new."""

    def __init__(
        self,
        settings: UplinkSettings,
        hatch: Hatch,
        standing: Standing,
        wake: int,
        inbox: Callable[[], None],
        version: Version,
        slip: Slip,
    ) -> None:
        self._settings, self._hatch, self._standing = settings, hatch, standing
        self._wake, self._inbox, self._version, self._slip = wake, inbox, version, slip
        self._number = hatch.next_session()
        self._envelopes = Envelopes(settings.kit_id, self._number, hatch.newest_time)
        self._past = PastHatch(settings.spool)
        self._window = Window(PLACES, settings.receipt_s, settings.retry_first_s, settings.retry_most_s)
        self._shown: dict[str, bytes] = {}
        self._unacked: set[int] = set()  # states on their way
        self._told: set[str] = set()  # health reports of before that went in this session
        self._telling: dict[int, set[str]] = {}  # those on their way
        self._pieces: set[int] = set()  # of a packet that goes through the broker
        self._welcome: ReasonCode | None = None
        self._ended = ""
        self._looked = float("-inf")
        self._questions = Questions(SteeringHatch(settings.spool), self._ask, settings.inbox_every_s)
        self._client = self._make_client()

    # --- the life of a session ------------------------------------------------------------------------

    def open(self) -> None:
        """Connect and wait for the broker's welcome. LinkDown when there is none."""
        try:
            self._client.connect(
                self._settings.mqtt_host,
                self._settings.mqtt_port,
                self._settings.keepalive_s,
                **(_of_five() if self._version == "5" else {}),
            )
        except OSError as problem:
            raise LinkDown(code_of(problem), type(problem).__name__) from problem
        until = time.monotonic() + self._settings.connect_s
        while self._welcome is None and self._pump(0.2):
            if time.monotonic() > until:
                self.cut()
                raise LinkDown("timed-out", "no CONNACK")
        if self._welcome is None or self._welcome.is_failure:
            self.cut()
            # Over TLS 1.3 a refused certificate is a connection that ends before the first word.
            raise LinkDown(_reason_code(self._welcome) if self._welcome else "refused", self._ended)
        log.info("mqtt-up", session=self._number, version=self._version)

    def serve(self, stopping: Callable[[], bool]) -> None:
        """Send and take until `stopping` or until the connection ends, which is LinkDown."""
        self._client.subscribe([(topic, 1) for topic in kit_listens(self._settings.kit_id)])
        self._publish(Tail.PRESENCE, Presence(s="online"))
        self._slip.up()
        while not stopping():
            now = time.monotonic()
            if now - self._looked > self._settings.look_every_s:
                self._looked = now
                self._send_past()
                self._send_states()
                self._questions.look()
                self._send_events()
            self._send_pieces()
            if not self._pump(min(_TICK_S, self._settings.look_every_s)):
                raise LinkDown(self._ended or "link-lost")

    def say_off(self) -> None:
        """Switched off on purpose: `off` instead of the will, and a proper goodbye."""
        last = self._publish(Tail.PRESENCE, Presence(s="off"))
        until = time.monotonic() + 5.0
        while last in self._unacked and time.monotonic() < until and self._pump(0.1):
            pass
        self._client.disconnect()
        while time.monotonic() < until and self._pump(0.1):
            pass

    def cut(self) -> None:
        """Close without a word; the broker publishes the will if it is not told otherwise in time."""
        connection = self._client.socket()
        if connection is not None:
            connection.close()

    # --- the loop -------------------------------------------------------------------------------------

    def _pump(self, seconds: float) -> bool:
        """Let paho read, write and keep alive; at most `seconds` of waiting. False when it has ended."""
        connection = self._client.socket()
        if not isinstance(connection, ssl.SSLSocket) or connection.fileno() < 0:
            return False  # paho still holds the socket that we have cut
        reading: list[ssl.SSLSocket | int] = [connection, self._wake]
        writing = [connection] if self._client.want_write() else []
        readable, writable, _ = select.select(reading, writing, [], seconds)
        if self._wake in readable:
            os.eventfd_read(self._wake)
            self._looked = float("-inf")
        if connection in readable:
            self._client.loop_read()
            while self._is_up() and connection.pending():  # TLS has it, select has not
                self._client.loop_read()
        if writable and self._is_up():
            self._client.loop_write()
        self._client.loop_misc()
        return self._is_up()

    def _is_up(self) -> bool:
        connection = self._client.socket()
        return connection is not None and connection.fileno() >= 0

    # --- up -------------------------------------------------------------------------------------------

    def _send_states(self) -> None:
        for name, tail in _SHOWN.items():
            body = self._hatch.shown(name)
            if body is None or self._shown.get(name) == body:
                continue
            self._shown[name] = body
            try:
                self._publish(tail, decode_body(tail, body))
            except BadMessage as problem:
                log.error("shown-unusable", name=name, code=problem.code, detail=problem.detail)

    def _send_past(self) -> None:
        """Before what is so now: the fleet's history of a kit goes forward only."""
        waiting = self._past.reports(self._told)
        for bundle in bundles(waiting, lambda _: False, self._envelopes.most_bytes):
            topic, data = self._envelopes.reports(bundle, together=True)
            ids = {report.id for report in bundle}
            self._told |= ids
            if self._envelopes.fits(topic, data):
                self._telling[self._put(topic, data)] = ids

    def _send_events(self) -> None:
        now = time.monotonic()
        room = self._window.room(now)
        waiting = self._hatch.reports(room * MOST, self._window.resting(now))
        together = bundles(waiting, self._window.goes_alone, self._envelopes.most_bytes)
        for bundle in islice(together, room):
            topic, data = self._envelopes.reports(bundle, together=len(bundle) > 1)
            if not self._envelopes.fits(topic, data):
                log.error("event-too-big", message=bundle[0].id, bytes=len(data))
                self._window.shelve(bundle[0].id)  # of several each would fit, and so do all (`bundles`)
                continue
            mid = self._put(topic, data)
            for report in bundle:
                self._window.sent(report.id, mid, now)

    def _ask(self, tail: Tail, body: Body) -> None:
        self._publish(tail, body, retain=False)

    def _send_pieces(self) -> None:
        while (waiting := self._slip.take()) is not None:
            topic = ferry.up_topic(self._settings.kit_id, waiting[0])
            if not self._envelopes.fits(topic, waiting[1]):
                log.error("piece-too-big", largest=self._envelopes.largest)
                self._slip.down()
                return
            self._pieces.add(self._put(topic, waiting[1]))

    def _publish(self, tail: Tail, body: Body, *, retain: bool = True) -> int:
        topic, data = self._envelopes.state(tail, body)
        if not self._envelopes.fits(topic, data):
            log.error("state-too-big", topic=tail, bytes=len(data), largest=self._envelopes.largest)
            return 0
        mid = self._put(topic, data, retain=retain)
        self._unacked.add(mid)
        return mid

    def _put(self, topic: str, data: bytes, *, retain: bool = False) -> int:
        """Hand to paho; the number of the message."""
        named, number = self._envelopes.name(topic)
        properties = None
        if number:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.TopicAlias = number
        return self._client.publish(named, data, qos=1, retain=retain, properties=properties).mid

    # --- what paho calls, in this thread; a bug in here passes through paho and ends the process ------

    def _make_client(self) -> mqtt.Client:
        settings = self._settings
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.kit_id,
            # Of 3.1.1, whose CONNECT says what of 5 is "clean start 0 and an expiry"; of 5 it must be None.
            clean_session=None if self._version == "5" else False,
            protocol=mqtt.MQTTv5 if self._version == "5" else mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        papers, newest = settings.held().present(), self._hatch.newest_time()
        try:
            client.tls_set_context(context(papers.authorities, papers.certificate, papers.key, newest))
        except OSError as problem:  # a key that is laid out elsewhere may be away for a while
            raise LinkDown("certificate-refused", "a certificate without its key") from problem
        client.connect_timeout = settings.connect_s
        will = None  # of 3.1.1: said at once, and overtaken by the session number of the next connect
        if self._version == "5":
            will = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
            will.WillDelayInterval = settings.will_delay_s
        topic, lost = self._envelopes.state(Tail.PRESENCE, Presence(s="lost"))
        client.will_set(topic, lost, qos=1, retain=True, properties=will)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        return client

    def _on_connect(
        self, _c: mqtt.Client, _u: Any, _f: mqtt.ConnectFlags, reason: ReasonCode, said: Properties | None
    ) -> None:
        self._welcome = reason
        largest = self._envelopes.largest
        self._envelopes.largest = min(largest, getattr(said, "MaximumPacketSize", largest))
        self._window.shrink(getattr(said, "ReceiveMaximum", 65535) - _STATES)
        self._envelopes.most_aliases = getattr(said, "TopicAliasMaximum", 0)

    def _on_subscribe(
        self, _c: mqtt.Client, _u: Any, _m: int, reasons: list[ReasonCode], _p: Properties | None
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            # The broker does not know this kit (yet): a session that hears nothing is none.
            self._ended = "not-admitted"
            self.cut()

    def _on_disconnect(
        self, _c: mqtt.Client, _u: Any, flags: mqtt.DisconnectFlags, reason: ReasonCode, _p: Properties | None
    ) -> None:
        by_broker = flags.is_disconnect_packet_from_server
        self._ended = _reason_code(reason) if by_broker else self._ended or "link-lost"

    def _on_publish(
        self, _c: mqtt.Client, _u: Any, mid: int, reason: ReasonCode, _p: Properties | None
    ) -> None:
        code = int(reason.value)
        if mid in self._pieces:
            self._pieces.discard(mid)
            if reason.is_failure:  # nobody there who hears pieces, or not allowed to us
                log.warning("piece-refused", code=hex(code))
                self._slip.down()
            return
        if mid in self._unacked:
            self._unacked.discard(mid)
            if reason.is_failure:
                log.error("state-refused", code=hex(code))
            return
        if mid in self._telling:
            ids = self._telling.pop(mid)
            if code == PUBACK_SUCCESS:  # else they wait for the next session, or for the fleet to be back
                self._past.drop(ids)
            return
        for failed in self._window.acked(mid, code, time.monotonic()):
            log.warning("event-kept", message=failed, code=hex(code))

    def _on_message(self, _c: mqtt.Client, _u: Any, message: mqtt.MQTTMessage) -> None:
        if message.topic == ferry.down_topic(self._settings.kit_id):
            self._land(bytes(message.payload))
            return
        try:
            body = decode(message.topic, bytes(message.payload)).body
        except BadMessage as problem:
            log.warning("message-refused", code=problem.code, detail=problem.detail)
            return
        match body:
            case Receipts():
                for message_id in self._hatch.drop_reports(body.ids):
                    self._window.done(message_id)
                    log.info("event-receipted", message=message_id)
                self._looked = float("-inf")
            case Doorbell(job="jobs"):
                self._questions.hurry(twin=False)
                self._looked = float("-inf")
            case Doorbell():
                self._inbox()
            case FleetState():
                self._standing.fleet(body.s == "online")
                if body.s == "online" and not message.retain:  # news, not what was so when we subscribed
                    self._window.hurry()
                    self._told.clear()
                    self._questions.hurry()
                    self._looked = float("-inf")
            case Notice():
                away = body.outage
                self._standing.outage((away.begins, away.ends) if away is not None else None)
            case _:
                self._questions.take(body)

    def _land(self, payload: bytes) -> None:
        try:
            self._slip.land(ferry.decode_down(payload))
        except BadMessage as problem:
            log.warning("message-refused", code=problem.code, detail=problem.detail)


def _of_five() -> dict[str, Any]:
    """What CONNECT says in MQTT 5 alone. Clean start 0 always: mosquitto does not keep a session over its own
    restart otherwise."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = KEPT_S
    properties.ReceiveMaximum = PLACES
    properties.MaximumPacketSize = 2 * MAX_BYTES
    return {"clean_start": False, "properties": properties}


def _reason_code(reason: ReasonCode) -> str:
    """The broker's reason as one of our codes: "Session taken over" is session-taken-over."""
    return reason.getName().lower().replace(" ", "-")
