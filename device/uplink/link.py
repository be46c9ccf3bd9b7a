"""MQTT sessions one after the other, for as long as the uplink runs."""

import os
import time
from collections.abc import Callable
from threading import Event

import structlog

from device.spool.hatch import Hatch
from device.uplink.backoff import Backoff
from device.uplink.dialect import Dialect
from device.uplink.problems import LinkDown
from device.uplink.session import Session
from device.uplink.settings import UplinkSettings
from device.uplink.slip import Slip
from device.uplink.standing import Standing

log = structlog.get_logger()


class Link:
    """`up` is called after every connect, `inbox` at every doorbell: both only set something in motion.

    `off` is set when the kit is switched off on purpose; without it the last word is left to the will."""

    def __init__(
        self,
        settings: UplinkSettings,
        hatch: Hatch,
        standing: Standing,
        up: Callable[[], None],
        inbox: Callable[[], None],
        off: Event,
    ) -> None:
        self._settings, self._hatch, self._standing, self._off = settings, hatch, standing, off
        self._up, self._inbox = up, inbox
        self._again = Event()
        self._dialect = Dialect(settings.mqtt_version, settings.older_s)
        self.slip = Slip(self.wake)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def wake(self) -> None:
        """There is something new in the spool, or it is time to stop. May be called from any thread."""
        os.eventfd_write(self._wake, 1)

    def again(self) -> None:
        """End the session, and begin the next at once. May be called from any thread."""
        self._again.set()
        self.wake()

    def close(self) -> None:
        os.close(self._wake)

    def run(self, stop: Event) -> None:
        patience = Backoff(self._settings.retry_first_s, self._settings.retry_most_s)
        before = ""
        while not stop.is_set():
            began = time.monotonic()
            try:
                self._one_session(stop)
            except LinkDown as problem:
                log.warning("mqtt-down", code=problem.code, detail=problem.detail)
                self._dialect.failed(problem.code)
                # A refused certificate is a connection that ends before the first word (TLS 1.3). So is one
                # that the network cut, but hardly twice in a row.
                is_told = problem.code != "refused" or before == "refused"
                self._standing.mqtt(online=False, problem=problem.code if is_told else "link-lost")
                before = problem.code
            if time.monotonic() - began > self._settings.steady_s:
                patience.reset()
            stop.wait(patience.next())
        self._standing.mqtt(online=False)

    def _one_session(self, stop: Event) -> None:
        self._again.clear()
        session = Session(
            self._settings,
            self._hatch,
            self._standing,
            self._wake,
            self._inbox,
            self._dialect.now(),
            self.slip,
        )
        try:
            session.open()
            self._dialect.opened()
            self._standing.mqtt(online=True)
            self._up()
            session.serve(lambda: stop.is_set() or self._again.is_set())
            if self._off.is_set():
                session.say_off()
        finally:
            self.slip.down()
            session.cut()
