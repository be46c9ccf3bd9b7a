"""A fleet that hands out leases, at the agent's side of the spool: keys of its own, memory of its own."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from device.spool.leases import LeaseHatch
from protocol import signed
from protocol.instant import write_instant
from protocol.lease import Asked, Granted, seal_granted, verify_asked
from tests.device.agent.kit import Kit


@dataclass
class Lender:
    command_key: ec.EllipticCurvePrivateKey
    root: x509.Certificate
    hours: int = 48
    visits: int = 12
    shares: dict[int, bytes] = field(default_factory=lambda: {0: b""})
    last: Asked | None = None
    roster: Callable[[Asked], str] = lambda asked: ""
    epochs: int = 1  # it goes no further by itself

    @classmethod
    def of(cls, kit: Kit) -> "Lender":
        return cls(kit.command_key, kit.root.certificate)

    def answer(self, kit: Kit) -> bool:
        """Answer the request that waits in the spool, if one does."""
        hatch = LeaseHatch(kit.data / "spool")
        request = hatch.asked()
        if request is None:
            return False
        self.last = asked = verify_asked(request, [self.root], datetime.now(UTC))
        hatch.store(self.granted(asked))
        hatch.done(request)
        return True

    def granted(self, asked: Asked, nonce: str = "") -> bytes:
        for epoch in (asked.epoch, asked.epoch + 1):
            self.shares.setdefault(epoch, secrets.token_bytes(32))
        granted = Granted(
            asked.kit_id,
            nonce or asked.nonce,
            asked.epoch,
            self.shares[asked.epoch],
            self.shares[asked.epoch + 1] if asked.epoch < self.epochs else b"",
            self.hours,
            self.visits,
            write_instant(datetime.now(UTC)),
            self.roster(asked),
        )
        key = self.command_key
        return seal_granted(granted, asked.recipient, key, signed.key_id(key.public_key()))
