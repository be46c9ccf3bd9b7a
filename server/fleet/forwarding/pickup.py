"""A competent service that fetches its packets itself: nothing is sent, its answer comes by its own call."""

from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from server.fleet.forwarding.answers import Answer, Later
from server.fleet.forwarding.receiptkeys import receipt_keys
from server.settings import Service as ServiceSettings

LOOK_AGAIN_S = 3600.0  # nothing hangs on it: the collector's own call settles the application


class Pickup:
    """A `Connector` that waits. What the collector may ask is in server/fleet/collecting.py."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings

    def offer(self, packet_id: str, packet: bytes) -> Answer:
        del packet_id, packet
        return Later(LOOK_AGAIN_S)

    def ask(self, packet_id: str) -> Answer:
        del packet_id
        return Later(LOOK_AGAIN_S)

    def receipt_keys(self, now: datetime) -> dict[str, ec.EllipticCurvePublicKey]:
        return receipt_keys(self._settings.recipients, self._settings.list_key, now)

    def close(self) -> None:
        """There is nothing open."""
