"""Carries the agent's request for a lease to the fleet, along with the planning, and the sealed answer back
(protocol 6, 12).
"""

import base64
import binascii

import structlog

from device.spool.hatch import Hatch
from device.spool.layout import SpoolRefused
from device.spool.leases import LeaseHatch
from device.uplink.problems import LinkDown
from device.uplink.settings import UplinkSettings

log = structlog.get_logger()


class Leases:
    """On the fetcher's thread."""

    def __init__(self, settings: UplinkSettings, hatch: Hatch) -> None:
        self._at = LeaseHatch(settings.spool)
        self._hatch = hatch

    def urgent(self) -> str | None:
        """A request that is not to wait for the next fetch."""
        return self._at.asked()

    def at_hand(self) -> str | None:
        """What goes along with the next fetch."""
        return self._at.at_hand()

    def keep(self, request: str, lease: str | None) -> None:
        """The fleet's answer to `request`; None when it gives no lease: the agent asks again.

        LinkDown bad-answer."""
        if lease is None:
            log.warning("no-lease")
        else:
            try:
                self._at.store(base64.b64decode(lease, validate=True))
            except (binascii.Error, SpoolRefused) as problem:
                raise LinkDown("bad-answer", "a lease that cannot be one") from problem
            log.info("lease")
        self._at.done(request)
        self._hatch.ring_agent()
