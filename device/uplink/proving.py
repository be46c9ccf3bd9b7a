"""Whether a certificate that was just granted is really let in, by the fleet and by the broker, before the
kit gives up the one it has.
"""

import select
import ssl
import time
from datetime import datetime

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from device.spool.credentials import Papers
from device.uplink.door import Door
from device.uplink.problems import LinkDown, code_of
from device.uplink.settings import UplinkSettings
from device.uplink.tls import KitContext, context
from protocol.mqtt5 import KEPT_S

_TICK_S = 0.2
_ANSWER_BYTES = 4096


def prove(settings: UplinkSettings, papers: Papers, newest: datetime) -> None:
    """LinkDown unless fleet and broker both take the papers, and the papers' roots know fleet and broker.

    The broker knows the kit by its name: its session of before ends, and the next one takes it up again."""
    try:
        made = context(papers.authorities, papers.certificate, papers.key, newest)
    except OSError as problem:
        raise LinkDown("bad-answer", "a certificate that does not fit its key") from problem
    door = Door(settings.https, lambda: made, settings.connect_s, settings.read_s)
    try:
        answer = door.call("GET", "/kit/v1/renew", limit=_ANSWER_BYTES)
        if answer.status != 204:
            answer.refuse_portal()
            raise LinkDown(f"status-{answer.status}")
    finally:
        door.close()
    _greet(settings, made)


def _greet(settings: UplinkSettings, made: KitContext) -> None:
    """Connect as the kit, hear the broker's welcome, and go."""
    heard: list[ReasonCode] = []
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id=settings.kit_id,
        protocol=mqtt.MQTTv5,
        reconnect_on_failure=False,
    )
    client.tls_set_context(made)
    client.connect_timeout = settings.connect_s
    client.on_connect = lambda _c, _u, _f, reason, _p: heard.append(reason)
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = KEPT_S
    try:
        client.connect(
            settings.mqtt_host, settings.mqtt_port, settings.keepalive_s, clean_start=False,
            properties=properties,
        )  # fmt: skip
    except OSError as problem:
        raise LinkDown(code_of(problem), type(problem).__name__) from problem
    until = time.monotonic() + settings.connect_s
    while not heard and _turn(client):
        if time.monotonic() > until:
            break
    if heard and not heard[0].is_failure:
        client.disconnect()
    while heard and time.monotonic() < until and _turn(client):
        pass
    connection = client.socket()
    if connection is not None:
        connection.close()
    if not heard or heard[0].is_failure:
        raise LinkDown("refused", "the broker does not take the new certificate")


def _turn(client: mqtt.Client) -> bool:
    """Let paho read and write once; False when the connection has ended."""
    connection = client.socket()
    if not isinstance(connection, ssl.SSLSocket):
        return False
    writing = [connection] if client.want_write() else []
    readable, writable, _ = select.select([connection], writing, [], _TICK_S)
    if readable:
        client.loop_read()
    if writable and client.socket() is not None:
        client.loop_write()
    return client.socket() is not None
