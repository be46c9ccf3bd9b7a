"""Fetches the newest recipient list of the service that this kit seals to (protocol 6). It is not judged."""

import time
from typing import Annotated
from urllib.parse import urlencode

import msgspec
import structlog
from msgspec import Meta

from device.spool.layout import MAX_LIST
from device.spool.lists import ListHatch
from device.uplink.door import Door
from device.uplink.problems import LinkDown
from device.uplink.settings import UplinkSettings

log = structlog.get_logger()

EVERY_S = 6 * 3600.0
"""A list lives for weeks; nobody waits for a new one."""
SOON_S = 60.0
"""While the agent has not said yet which one it wants."""


class _Brought(msgspec.Struct, frozen=True):
    recipients: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]+\Z", max_length=MAX_LIST)]


class Lists:
    """On the fetcher's thread."""

    def __init__(self, settings: UplinkSettings, door: Door) -> None:
        self._at, self._door = ListHatch(settings.spool), door
        self._due = time.monotonic()

    def look(self) -> None:
        """When it is time. LinkDown. A fleet from before there was this call has none to give."""
        if time.monotonic() < self._due:
            return
        kid = self._at.wanted()
        if kid is None:
            self._due = time.monotonic() + SOON_S
            return
        asked = urlencode({"key": kid, "held": self._at.held()})
        answer = self._door.call("GET", f"/kit/v1/recipients?{asked}", limit=MAX_LIST + 1024)
        self._due = time.monotonic() + EVERY_S
        if answer.status == 200:
            self._at.store(answer.read(_Brought).recipients)
            log.info("recipients")
        elif answer.status not in (204, 404):
            raise LinkDown(f"status-{answer.status}")
