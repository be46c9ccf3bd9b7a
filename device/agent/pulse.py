"""Tells the fleet how the kit is: health now and then, a birth when what the kit consists of has changed."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import structlog

from device.agent import health
from device.agent.snapshot import Link
from device.agent.wishes import Tuned
from device.errors import KitError
from device.ports import Clock, Condition
from device.spool.past import Past
from device.spool.spool import Spool
from protocol.messages import Birth, encode_body, instant
from protocol.topics import Tail

log = structlog.get_logger()


class Pulse:
    """All calls on the desk's thread."""

    def __init__(
        self,
        spool: Spool,
        clock: Clock,
        sys: Path,
        data: Path,
        tuned: Tuned,
        certificate_until: Callable[[], datetime],
        protection: health.Protection,
    ) -> None:
        self._spool, self._past = spool, Past(spool.root)
        self._clock = clock
        self._sys = sys
        self._data = data
        self._tuned = tuned
        self._started = instant(clock.now())
        self._certificate_until = certificate_until
        self._protection = protection
        self._birth: Birth | None = None
        self._due = clock.monotonic()

    def hurry(self) -> None:
        """The next beat tells all."""
        self._due = self._clock.monotonic()

    def beat(
        self,
        conditions: Mapping[str, Condition],
        link: Link,
        reports: int,
        in_visit: bool,
        drafts: health.Drafts,
        unread: Sequence[str] = (),
    ) -> None:
        """Show what has changed or is due. What the disk refuses is logged: the fleet sees it is stale."""
        try:
            until = instant(self._certificate_until())
            born = health.birth(conditions, self._started, until, self._protection)
            if born != self._birth:
                self._spool.show("birth", encode_body(Tail.BIRTH, born))
                self._birth = born
            if self._clock.monotonic() >= self._due:
                self._due = self._clock.monotonic() + self._tuned.health_every_s
                measured = health.measure(self._sys, self._data)
                body = health.health(measured, conditions, link, reports, in_visit, drafts, unread)
                shown = encode_body(Tail.HEALTH, body)
                self._spool.show("health", shown)
                self._past.shown(shown, heard=link.online)
        except KitError as problem:
            log.warning("not-shown", code=str(problem.code), detail=problem.detail)
