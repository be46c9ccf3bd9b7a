"""Taking in one application: open it, judge it, enter it once, and have the signed receipt to show for it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from competent.asking import Persons, Whole
from competent.behaviour import Behaviour
from competent.failure import Failed
from competent.keys import CMS_KEYS, IDENTITIES, RECEIPT_KEY
from competent.ledger import Application, Ledger
from competent.opening import write_parts
from competent.trust import read_keys, read_private_key, read_roots
from protocol import canonical
from protocol.instant import write_instant
from protocol.sealed.manifest import Manifest
from protocol.sealed.outer import Outer, check_signatures, read_outer
from protocol.sealed.packet import BadPacket, Key, Opened, open_packet
from protocol.sealed.receipt import Receipt, Verdict, sign_receipt
from protocol.sealed.supplement import CODES, refusal

PATIENCE = timedelta(days=14)  # how long the service waits for what it asked anew


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
        about = self._about(outer.manifest, opened)
        if opened is not None and not code:
            code = self._refusal(outer.manifest, about)
        if code:
            behaviour = replace(behaviour, code=code, parts=())
        application = self._judged(outer, behaviour, now)
        wholes = self._wholes(about, behaviour, now)
        if opened is not None and self.keep is not None:
            folder = self.keep / key
            if not folder.exists():
                write_parts(opened, folder)
        return self.ledger.enter(application, 2 if behaviour.kind == "duplicate" else 1, wholes), behaviour

    def _open(self, data: bytes, now: datetime) -> tuple[Opened | None, str]:
        try:
            return open_packet(data, self.keys, self.roots, self.roots, now), ""
        except BadPacket as refusal:
            return None, str(refusal.code)

    def _about(self, manifest: Manifest, opened: Opened | None) -> Whole:
        holder = Persons(self.receipt_key).of(opened) if opened is not None else ""
        about = manifest.supplements
        supplements = "" if about is msgspec.UNSET else about.packet_id
        return Whole(manifest.packet_id, manifest.tenant, manifest.service_id, supplements, holder)

    def _refusal(self, manifest: Manifest, about: Whole) -> str:
        """Why a supplement is not taken; empty for one that is, and for what is none."""
        if not about.supplements:
            return ""
        named = self.ledger.whole(about.supplements)
        return refusal(manifest, named.original if named else None, about.holder)

    def _wholes(self, about: Whole, behaviour: Behaviour, now: datetime) -> list[Whole]:
        """What is known of the packet, and of the application it supplements, once it has its answer."""
        waits = (behaviour.parts, write_instant(now + PATIENCE)) if behaviour.parts else ((), "")
        if not about.supplements:
            return [replace(about, parts=waits[0], until=waits[1])]
        named = self.ledger.whole(about.supplements)
        if named is None or behaviour.code in CODES:
            return [about]
        return [about, replace(named, parts=waits[0], until=waits[1])]

    def _judged(self, outer: Outer, behaviour: Behaviour, now: datetime) -> Application:
        manifest, code = outer.manifest, behaviour.code
        verdict: Verdict = "recapture" if behaviour.parts else "rejected" if code else "accepted"
        receipt = Receipt(
            packet_id=manifest.packet_id,
            manifest_sha256=outer.manifest_sha256,
            kit_id=manifest.kit_id,
            verdict=verdict,
            code=code,
            at=write_instant(now),
            parts=behaviour.parts or msgspec.UNSET,
            until=write_instant(now + PATIENCE) if behaviour.parts else msgspec.UNSET,
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
            time.time() + behaviour.seconds,
        )


def open_intake(trust: Path, keys: Path, ledger: Ledger, keep: Path | None) -> Intake:
    """The intake of a service with the key folder `keys`. Failed when something is missing."""
    files = [keys / name for name in (*IDENTITIES, *CMS_KEYS) if (keys / name).exists()]
    if not files:
        raise Failed("bad-key-file", f"{keys.name} holds no key that opens applications")
    held = [key for file in files for key in read_keys(file)]
    return Intake(ledger, read_roots(trust), held, read_private_key(keys / RECEIPT_KEY), keep)
