"""One MQTT 5 connection that is used like a file: opened, asked, closed. Nothing is sent again by itself."""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from protocol.mqtt5 import KEPT_S
from server.broker.problem import BrokerProblem
from server.broker.tidy import TidySocket

ANSWER_S = 10.0
KEEPALIVE_S = 30
LARGEST = 4 * 1024 * 1024

# What to do, for whoever reads what went wrong.
_ANEW = "look at mosquitto's log, and start mosquitto anew"
_LISTS = "`thuisloket-fleet broker install` gives it the present lists and CAs"
_NAMES = (
    "mosquitto.conf must say `require_certificate true` and `use_identity_as_username true`, and"
    " `thuisloket-fleet broker agree` tells it who may come"
)


@dataclass(frozen=True)
class Place:
    """Where a broker listens and by which root it proves itself. `named`: whether its host name must fit,
    which a broker of ours on the loopback, started by us, need not."""

    host: str
    port: int
    ca: Path
    named: bool = True


@dataclass(frozen=True)
class Identity:
    """A client certificate (leaf, then issuing CA) with its key; `name` is its CN."""

    name: str
    certificate: Path
    key: Path


@dataclass(frozen=True)
class Heard:
    topic: str
    payload: bytes
    retained: bool
    number: int  # for `acknowledge`


class Link:
    """`client_id` as another than the name tries a take-over. With `keep` the broker keeps the session
    for ever. With `by_hand` messages are acknowledged by `acknowledge` alone."""

    def __init__(
        self,
        place: Place,
        who: Identity,
        *,
        client_id: str | None = None,
        keep: bool = False,
        by_hand: bool = False,
    ) -> None:
        self.heard: queue.Queue[Heard] = queue.Queue()
        self.largest = 2**28  # bytes of a packet, as far as the broker says
        self.session_kept = False
        self._welcome: queue.Queue[ReasonCode | None] = queue.Queue()
        self._gone = threading.Event()
        self._answers: queue.Queue[tuple[int, list[int]]] = queue.Queue()
        self._place, self._keep = place, keep
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id or who.name,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=by_hand,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.sslsocket_class = TidySocket
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = place.named
        try:
            context.load_verify_locations(place.ca)
            context.load_cert_chain(who.certificate, who.key)
        except OSError as problem:
            raise BrokerProblem("bad-certificate", f"{who.certificate}: {problem}") from problem
        self._client.tls_set_context(context)
        if not place.named:
            self._client.tls_insecure_set(True)
        self._client.connect_timeout = ANSWER_S
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = lambda _c, _u, message: self.heard.put(_heard(message))
        self._client.on_publish = lambda _c, _u, mid, reason, _p: self._answers.put((mid, [reason.value]))
        self._client.on_subscribe = lambda _c, _u, mid, reasons, _p: self._answers.put(
            (mid, [reason.value for reason in reasons])
        )

    def open(self) -> Self:
        """Connect. BrokerProblem unreachable (no broker there), no-answer, refused (it hung up, or
        said no)."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = KEPT_S if self._keep else 0
        properties.MaximumPacketSize = LARGEST
        try:
            self._client.connect(
                self._place.host, self._place.port, KEEPALIVE_S, clean_start=False, properties=properties
            )
        except (ssl.SSLError, ConnectionResetError, BrokenPipeError) as problem:
            raise BrokerProblem(
                "refused", f"the broker ended the handshake ({problem}); {_LISTS}"
            ) from problem
        except OSError as problem:
            where = f"{self._place.host}:{self._place.port}"
            raise BrokerProblem("unreachable", f"is mosquitto running at {where}? {problem}") from problem
        self._client.loop_start()
        try:
            said = self._welcome.get(timeout=ANSWER_S)
        except queue.Empty:
            self.close()
            raise BrokerProblem(
                "no-answer", f"the broker took the connection and is silent; {_ANEW}"
            ) from None
        if said is None or said.is_failure:
            self.close()
            raise BrokerProblem(
                "refused", f"the broker said {said.getName() if said else 'nothing'}; {_NAMES}"
            )
        return self

    def subscribe(self, *topics: str) -> list[int]:
        """The broker's answer to each: 0 to 2 granted, 0x80 and more refused."""
        wished = [(topic, SubscribeOptions(qos=1)) for topic in topics]
        return self._answer(self._client.subscribe(wished)[1])

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expiry_s: int | None = None
    ) -> int:
        """At QoS 1; the reason in the PUBACK."""
        return self._answer(self.hand_over(topic, payload, retain=retain, expiry_s=expiry_s))[0]

    def publish_all(self, messages: Sequence[tuple[str, bytes]]) -> list[int]:
        """Many, without waiting for one before the next; the reasons, in the order of the answers."""
        waiting = {self.hand_over(topic, payload) for topic, payload in messages}
        reasons = []
        while waiting:
            mid, reason = self._next_answer()
            if mid in waiting:
                waiting.remove(mid)
                reasons += reason
        return reasons

    def hand_over(
        self, topic: str, payload: bytes, *, retain: bool = False, expiry_s: int | None = None
    ) -> int:
        """Publish without waiting for the PUBACK; the packet's number."""
        properties = None
        if expiry_s is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = expiry_s
        return self._client.publish(topic, payload, qos=1, retain=retain, properties=properties).mid

    def hear(self, seconds: float = ANSWER_S) -> Heard | None:
        """The next message, None when there is none in time."""
        try:
            return self.heard.get(timeout=seconds)
        except queue.Empty:
            return None

    def hear_all(self, count: int, seconds: float = ANSWER_S) -> list[Heard]:
        """At most `count` messages, as many as come in time."""
        until = time.monotonic() + seconds
        messages: list[Heard] = []
        while len(messages) < count and (left := until - time.monotonic()) > 0:
            message = self.hear(left)
            if message is not None:
                messages.append(message)
        return messages

    def acknowledge(self, message: Heard) -> None:
        self._client.ack(message.number, 1)

    def ended(self, seconds: float) -> bool:
        """Whether the broker has ended the connection, now or within `seconds`."""
        return self._gone.wait(seconds)

    def cut(self) -> None:
        """End without a word, as a dead process does."""
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            connection.shutdown(socket.SHUT_RDWR)
        end_loop(self._client)

    def close(self) -> None:
        self._client.disconnect()
        end_loop(self._client)

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, mid: int | None) -> list[int]:
        while True:
            answered, reasons = self._next_answer()
            if answered == mid:
                return reasons

    def _next_answer(self) -> tuple[int, list[int]]:
        try:
            return self._answers.get(timeout=ANSWER_S)
        except queue.Empty:
            raise BrokerProblem("no-answer", f"the broker is connected and is silent; {_ANEW}") from None

    def _on_connect(
        self, _c: Client, _u: Any, flags: ConnectFlags, reason: ReasonCode, said: Properties | None
    ) -> None:
        self.session_kept = flags.session_present
        self.largest = getattr(said, "MaximumPacketSize", self.largest)
        self._welcome.put(reason)

    def _on_disconnect(self, *_: Any) -> None:
        self._gone.set()
        self._welcome.put(None)


def end_loop(client: Client) -> None:
    """Stop paho's thread. Nothing that it called holds the client then, so that the pair of sockets of its
    loop is closed with it, and not whenever somebody collects them all."""
    client.loop_stop()
    client.on_connect = client.on_disconnect = client.on_message = client.on_publish = None
    client.on_subscribe = None


def _heard(message: MQTTMessage) -> Heard:
    return Heard(message.topic, bytes(message.payload), message.retain, message.mid)
