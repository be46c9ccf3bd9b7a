"""Taking in one application: open it, judge it, enter it once, and have the signed receipt to show for it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from competent.behaviour import Behaviour
from competent.failure import Failed
from competent.keys import CMS_KEYS, IDENTITIES, RECEIPT_KEY
from competent.ledger import Application, Ledger
from competent.opening import write_parts
from competent.trust import read_keys, read_private_key, read_roots
from protocol import canonical
from protocol.instant import write_instant
from protocol.sealed.outer import Outer, check_signatures, read_outer
from protocol.sealed.packet import BadPacket, Key, Opened, open_packet
from protocol.sealed.receipt import Receipt, sign_receipt


class AnotherKey(ValueError):
    """The idempotency key is not the packet's id, or was used for another packet."""


@dataclass(frozen=True)
class Intake:
    """What it takes to judge a packet and to answer for it."""

    ledger: Ledger
    roots: Sequence[x509.Certificate]
    keys: Sequence[Key] = field(repr=False)
    receipt_key: ec.EllipticCurvePrivateKey = field(repr=False)
    keep: Path | None = None

    def take(self, key: str, data: bytes) -> tuple[Application, Behaviour]:
        """The ledger's row for the packet and how to behave about it.

        BadPacket when nobody trusted signed it: then there is no one to answer. A packet that is signed but
        cannot be opened is answered with a signed rejection. AnotherKey."""
        now = datetime.now(UTC)
        outer = read_outer(data)
        if outer.manifest.packet_id != key:
            raise AnotherKey("the Idempotency-Key is the packet's id")
        check_signatures(outer, self.roots, self.roots, now)
        held = self.ledger.find(key)
        if held is not None:
            if held.manifest_sha256 != outer.manifest_sha256:
                raise AnotherKey("another packet had this id")
            return self.ledger.enter(held), Behaviour("accept")
        behaviour = self.ledger.next_behaviour()
        opened, code = self._open(data, now)
        application = self._judged(outer, code or behaviour.code, now, behaviour.seconds)
        if opened is not None and self.keep is not None:
            folder = self.keep / key
            if not folder.exists():
                write_parts(opened, folder)
        return self.ledger.enter(application, 2 if behaviour.kind == "duplicate" else 1), behaviour

    def _open(self, data: bytes, now: datetime) -> tuple[Opened | None, str]:
        try:
            return open_packet(data, self.keys, self.roots, self.roots, now), ""
        except BadPacket as refusal:
            return None, str(refusal.code)

    def _judged(self, outer: Outer, code: str, now: datetime, delay_s: int) -> Application:
        manifest = outer.manifest
        receipt = Receipt(
            packet_id=manifest.packet_id,
            manifest_sha256=outer.manifest_sha256,
            kit_id=manifest.kit_id,
            verdict="rejected" if code else "accepted",
            code=code,
            at=write_instant(now),
        )
        parts = [{"name": content.name, "sha256": content.sha256} for content in manifest.contents]
        return Application(
            manifest.packet_id,
            manifest.visit_id,
            manifest.kit_id,
            outer.manifest_sha256,
            receipt.verdict,
            code,
            canonical.dumps(parts).decode(),
            sign_receipt(receipt, self.receipt_key),
            time.time() + delay_s,
        )


def open_intake(trust: Path, keys: Path, ledger: Ledger, keep: Path | None) -> Intake:
    """The intake of a service with the key folder `keys`. Failed when something is missing."""
    files = [keys / name for name in (*IDENTITIES, *CMS_KEYS) if (keys / name).exists()]
    if not files:
        raise Failed("bad-key-file", f"{keys.name} holds no key that opens applications")
    held = [key for file in files for key in read_keys(file)]
    return Intake(ledger, read_roots(trust), held, read_private_key(keys / RECEIPT_KEY), keep)
