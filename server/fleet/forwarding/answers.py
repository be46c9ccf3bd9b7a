"""What a competent service can answer, however it is reached, and what every way of reaching one can do."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Receipted:
    token: str = field(repr=False)


@dataclass(frozen=True)
class Later:
    """Taken, no answer yet. `after_s`: when the service wants to be asked, None when it does not say."""

    after_s: float | None


@dataclass(frozen=True)
class Unknown:
    """The service does not know the packet."""


@dataclass(frozen=True)
class Failed:
    """No answer this time."""

    code: str


@dataclass(frozen=True)
class Declined:
    """The service will not take the packet, and says so without a receipt."""

    code: str


Answer = Receipted | Later | Unknown | Failed | Declined


class Connector(Protocol):
    """One way to one competent service. Thread-safe; no call raises for what a network or a service can do.

    `offer` may be called again for the same packet: the service knows it by its id."""

    def offer(self, packet_id: str, packet: bytes) -> Answer: ...

    def ask(self, packet_id: str) -> Answer: ...

    def receipt_keys(self, now: datetime) -> dict[str, ec.EllipticCurvePublicKey]:
        """Keys by id that may sign receipts. receiptkeys.ReceiptKeysUnknown."""
        ...

    def close(self) -> None: ...
