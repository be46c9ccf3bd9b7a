"""Sends health reports and nothing else: the kit's own session, live or a few together as after a time
without network, or a plain JSON publish of the same messages.

`python -m benchmarks.link.reporter plain|live|together FILES SPOOL` says `ready` once connected, sends on a
line from stdin, and ends half a second after the last acknowledgement.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.link import fleet
from benchmarks.link.emulator import RIGHT
from device.spool.hatch import Hatch
from device.spool.past import Past
from device.spool.spool import Spool
from device.uplink.logs import log_to_stderr
from device.uplink.session import Session
from device.uplink.settings import UplinkSettings
from device.uplink.slip import Slip
from device.uplink.standing import Standing
from device.uplink.tls import context
from protocol.ids import new_ulid
from protocol.messages import Envelope, Health, encode, encode_body, instant
from protocol.topics import Tail, topic_of

REPORTS = 20
TOGETHER = 5
PACE_S = 0.5  # so far apart that each has its own packets and acknowledgements
PORT = 8883


def reports() -> Iterator[Health]:
    """A kit through a visit: every value moves."""
    for n in range(REPORTS):
        yield Health(
            battery=88 - n // 3,
            mains=False,
            temperature_c=44 + n % 5,
            disk_free_mb=23_817 - 7 * n,
            peripherals=dict.fromkeys(("card", "camera", "fingerprint", "signature"), "ok"),
            sealed_waiting=n // 7,
            oldest_waiting_s=61 * n,
            reports_waiting=n % 4,
            in_visit=True,
            uptime_s=5_377 + 60 * n,
            drafts=1,
            oldest_draft_s=412 + 60 * n,
        )


def main() -> None:
    log_to_stderr()
    way, files, spool = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    settings = UplinkSettings(
        kit_id=fleet.KIT,
        spool=spool,
        mqtt_host=RIGHT,
        mqtt_port=PORT,
        https=f"https://{RIGHT}:1",
        ca=files / "root.pem",
        certificate=files / "kit-tls.pem",
        key=files / "kit-tls.key",
        look_every_s=60.0,  # it looks when it is rung, and not while reports are laid down that go together
    )
    if way == "plain":
        _plain(settings)
    else:
        _ours(settings, TOGETHER if way == "together" else 1)


def _ours(settings: UplinkSettings, together: int) -> None:
    spool, hatch = Spool(settings.spool), Hatch(settings.spool)
    wake, stop = os.eventfd(0, os.EFD_NONBLOCK), threading.Event()
    slip = Slip(lambda: None)
    session = Session(settings, hatch, Standing(hatch), wake, lambda: None, "5", slip)
    session.open()
    thread = threading.Thread(target=session.serve, args=(stop.is_set,))
    thread.start()
    spool.show("health", encode_body(Tail.HEALTH, next(reports())))  # the one that tells the broker the topic
    os.eventfd_write(wake, 1)
    past = Past(settings.spool)
    past.shown(encode_body(Tail.HEALTH, next(reports())), heard=False)  # what the first of them replaces
    _wait_for_go()
    for number, health in enumerate(reports(), 1):
        body = encode_body(Tail.HEALTH, health)
        if together == 1:
            spool.show("health", body)
        else:
            past.shown(body, heard=False)
        if number % together == 0:
            os.eventfd_write(wake, 1)
            time.sleep(PACE_S)
    time.sleep(0.5)
    os._exit(0)  # no goodbye: it is not what is counted


def _plain(settings: UplinkSettings) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=settings.kit_id, protocol=mqtt.MQTTv5)
    client.tls_set_context(context(settings.ca, settings.certificate, settings.key, datetime.now(UTC)))
    client.connect(settings.mqtt_host, settings.mqtt_port)
    client.loop_start()
    topic = topic_of(settings.kit_id, Tail.HEALTH)
    client.publish(topic, b"", qos=1).wait_for_publish(10)
    _wait_for_go()
    for number, health in enumerate(reports(), 4):
        now = instant(datetime.now(UTC))
        told = Envelope(
            v=1, id=new_ulid(), kit=settings.kit_id, ses=1, seq=number, ts=now, ts_src="rtc", body=health
        )
        client.publish(topic, encode(topic, told), qos=1, retain=True)
        time.sleep(PACE_S)
    time.sleep(0.5)
    os._exit(0)


def _wait_for_go() -> None:
    time.sleep(1.5)  # what belongs to the connect is over
    print("ready", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
