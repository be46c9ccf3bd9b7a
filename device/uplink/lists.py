"""Fetches the newest recipient list of the service that this kit seals to (protocol 6). It is not judged, but
takes no place of one that claims to be newer: a kit never seals to a list older than one it has used, and a
fleet that was put back from a copy may have no other.
"""

import binascii
import hashlib
import time
from typing import Annotated
from urllib.parse import urlencode

import msgspec
import structlog
from msgspec import Meta

from device.spool.layout import MAX_LIST
from device.spool.lists import ListHatch
from device.uplink.claim import claimed
from device.uplink.door import Door
from device.uplink.problems import LinkDown
from device.uplink.settings import UplinkSettings
from protocol.messages import Instant, moment

log = structlog.get_logger()

EVERY_S = 6 * 3600.0
"""A list lives for weeks; nobody waits for a new one."""
SOON_S = 60.0
"""While the agent has not said yet which one it wants."""


class _Brought(msgspec.Struct, frozen=True):
    recipients: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]+\Z", max_length=MAX_LIST)]


class _Claims(msgspec.Struct, frozen=True):
    issued: Instant


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
        held = self._at.held()
        digest = hashlib.sha256(held.encode()).hexdigest() if held else ""
        asked = urlencode({"key": kid, "held": digest})
        answer = self._door.call("GET", f"/kit/v1/recipients?{asked}", limit=MAX_LIST + 1024)
        self._due = time.monotonic() + EVERY_S
        if answer.status == 200:
            brought = answer.read(_Brought).recipients
            if _issued(brought) < _issued(held):
                log.warning("recipients-older")
                return
            self._at.store(brought)
            log.info("recipients")
        elif answer.status not in (204, 404):
            raise LinkDown(f"status-{answer.status}")


def _issued(token: str) -> float:
    """When it claims to have been issued, in seconds since 1970; 0 where it does not say."""
    try:
        return moment(msgspec.json.decode(claimed(token), type=_Claims).issued).timestamp()
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, ValueError):
        return 0.0
