"""The uplink as a process: MQTT, uploads, inbox and renewal, a thread each, until it is told to stop.

A bug in any of them, or a disk that takes no more, ends all of them and comes out of `run`: the process dies
and systemd starts it again.
"""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event

import structlog

from device.spool.hatch import Hatch, SpoolTaken
from device.spool.steering_hatch import SteeringHatch
from device.uplink.choice import Choice
from device.uplink.door import Door
from device.uplink.inbox import Inbox
from device.uplink.link import Link
from device.uplink.logs import set_level
from device.uplink.path import knows_bbr
from device.uplink.renewal import Renewal
from device.uplink.settings import UplinkSettings
from device.uplink.standing import Standing
from device.uplink.tls import Trust, context
from device.uplink.uploads import Uploads
from protocol import shapes

log = structlog.get_logger()

_LISTEN_S = 0.25  # how soon a `stop` from outside is noticed


class CannotStart(Exception):
    """The certificate files do not fit, or another uplink works on this spool: a person has to look."""


def run(settings: UplinkSettings, stop: Event) -> None:
    """Work until `stop` is set; then say `off` and return. CannotStart; OSError of the spool's disk."""
    shapes.work_out()
    try:
        papers = settings.held().present()
        context(papers.authorities, papers.certificate, papers.key, datetime.now(UTC))
    except OSError as problem:
        raise CannotStart(str(problem)) from problem
    try:
        hatch = Hatch(settings.spool)
    except SpoolTaken as problem:
        raise CannotStart(f"another uplink works on {problem}") from problem
    try:
        _run(settings, hatch, stop)
    finally:
        hatch.close()


def _run(settings: UplinkSettings, hatch: Hatch, stop: Event) -> None:
    standing = Standing(hatch)
    uploads_door, inbox_door, renewal_door = doors = [_door(settings, hatch) for _ in range(3)]
    renewal = Renewal(settings, hatch, settings.held(), renewal_door)

    def up() -> None:
        uploads.hurry()
        rung()

    def rung() -> None:
        inbox.wake()
        renewal.wake()

    link = Link(settings, hatch, standing, up, rung, stop)
    choice = Choice(link.slip, settings.ferry_after_s, lambda: standing.fleet_is_here)
    uploads = Uploads(settings, hatch, standing, uploads_door, choice)
    inbox = Inbox(settings, hatch, standing, inbox_door, renewal.told, choice)
    ending = Event()
    log.info("uplink", kit=settings.kit_id)
    if not knows_bbr():
        log.warning("no-bbr", remedy="load tcp_bbr: provisioning/image/modules-load")
    parts = (link, uploads, inbox, renewal)
    with ThreadPoolExecutor(len(parts), thread_name_prefix="uplink") as pool:
        threads: list[Future[None]] = [pool.submit(part.run, ending) for part in parts]
        try:
            _listen(settings, hatch, standing, stop, threads, *parts)
        finally:
            ending.set()
            for door in doors:
                door.abort()
            link.wake()
            uploads.hurry()
            rung()
    link.close()
    for thread in threads:
        thread.result()  # what ended it, if it was not the stop
    log.info("uplink-off", kit=settings.kit_id)


def _listen(
    settings: UplinkSettings,
    hatch: Hatch,
    standing: Standing,
    stop: Event,
    threads: list[Future[None]],
    link: Link,
    uploads: Uploads,
    inbox: Inbox,
    renewal: Renewal,
) -> None:
    """Pass the agent's rings on, until the stop or until a thread has ended."""
    steering, level = SteeringHatch(settings.spool), "info"
    looked = time.monotonic()
    while not stop.is_set() and not any(thread.done() for thread in threads):
        rang = hatch.wait_for_uplink(_LISTEN_S)
        if rang or time.monotonic() - looked > settings.look_every_s:
            looked = time.monotonic()
            link.wake()
            if steering.asked_to_reconnect():
                log.info("reconnect")
                link.again()
                uploads.hurry()
                inbox.wake()
            wanted = steering.tuning().log_level or "info"
            if wanted != level:
                set_level(wanted)
                level = wanted
            if hatch.asked_to_try():
                uploads.release()
            uploads.wake()
            inbox.ask()
            renewal.look()
        standing.repeat()


def _door(settings: UplinkSettings, hatch: Hatch) -> Door:
    trust = Trust(settings.held().present, hatch.newest_time)
    return Door(settings.https, trust.context, settings.connect_s, settings.read_s)
