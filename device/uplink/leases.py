"""Carries the agent's request for a lease to the fleet, and the sealed answer back (protocol 12)."""

import base64
import binascii
from typing import Annotated

import msgspec
import structlog
from msgspec import Meta

from device.spool.hatch import Hatch
from device.spool.layout import MAX_LEASE, SpoolRefused
from device.spool.leases import LeaseHatch
from device.uplink.door import Door
from device.uplink.problems import LinkDown
from device.uplink.settings import UplinkSettings

log = structlog.get_logger()

_ANSWER_BYTES = 64 * 1024
_REFUSED = frozenset({404, 422})
"""A fleet that knows no leases, or will not give one: asked again when the agent asks again."""


class _Lease(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    lease: Annotated[str, Meta(max_length=MAX_LEASE * 4 // 3 + 4)]


class Leases:
    """On the fetcher's thread, with its connection."""

    def __init__(self, settings: UplinkSettings, hatch: Hatch, door: Door) -> None:
        self._at = LeaseHatch(settings.spool)
        self._hatch, self._door = hatch, door

    def waiting(self) -> str | None:
        return self._at.asked()

    def fetch(self) -> None:
        """Ask if there is something to ask. LinkDown as any call."""
        request = self._at.asked()
        if request is None:
            return
        answer = self._door.post("/kit/v1/lease", {"request": request}, limit=_ANSWER_BYTES)
        if answer.status in _REFUSED:
            log.warning("lease-refused", status=answer.status)
        elif answer.status != 200:
            raise LinkDown(f"status-{answer.status}")
        else:
            try:
                self._at.store(base64.b64decode(answer.read(_Lease).lease, validate=True))
            except (binascii.Error, SpoolRefused) as problem:
                raise LinkDown("bad-answer", "a lease that cannot be one") from problem
            log.info("lease")
        self._at.done(request)
        self._hatch.ring_agent()
