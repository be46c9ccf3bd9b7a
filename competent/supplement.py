"""A supplement laid beside the application it says it belongs to, and the receipt that asked for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from competent.asking import holder_of
from competent.failure import Failed
from competent.opening import read_packet
from competent.trust import read_private_key
from protocol import signed
from protocol.instant import read_instant
from protocol.sealed.manifest import Manifest
from protocol.sealed.outer import Outer, check_signatures, read_outer
from protocol.sealed.packet import Key, Opened, open_packet
from protocol.sealed.receipt import LONGEST, BadReceipt, Receipt, verify_receipt
from protocol.sealed.supplement import UNKNOWN, Original, refusal


class NotASupplement(Exception):
    """The packet does not belong to that application: `code` of protocol/sealed/supplement.py."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Beside:
    """The application's packet (groups of it may have been shredded), the service's receipt that asked for
    the parts, and the key that signed that: PEM, the private or the public half. `earlier`: where the service
    has asked more than once, the supplement to which that receipt was the answer (it may be shredded too)."""

    original: Path
    asked: Path
    receipt_key: Path
    earlier: Path | None
    keys: Sequence[Key] = field(repr=False)
    roots: Sequence[x509.Certificate]

    def judge(self, opened: Opened) -> None:
        """NotASupplement; BadPacket of the application; Failed."""
        data = read_packet(self.original)
        then: datetime = read_instant(read_outer(data).manifest.created_utc)
        whole = open_packet(data, self.keys, self.roots, self.roots, then, missing_ok=True)
        manifest, receipt = whole.outer.manifest, self._receipt()
        answered = whole.outer if self.earlier is None else self._earlier(self.earlier, manifest)
        asked = receipt.asked
        if (receipt.packet_id, receipt.manifest_sha256) != (
            answered.manifest.packet_id,
            answered.manifest_sha256,
        ):
            asked = None
        known = Original(
            manifest.tenant,
            manifest.service_id,
            bool(manifest.supplements),
            asked.parts if asked else (),
            read_instant(asked.until) if asked else None,
            holder_of(whole),
        )
        mine = _names(opened.outer.manifest, manifest)
        code = refusal(opened.outer.manifest, known, holder_of(opened)) if mine else UNKNOWN
        if code:
            raise NotASupplement(code)

    def _earlier(self, path: Path, application: Manifest) -> Outer:
        """What it says outside, which kit and officer have signed. That it was taken as a supplement, the
        service has said by asking again. NotASupplement unknown: it belongs to another application."""
        outer = read_outer(read_packet(path))
        check_signatures(outer, self.roots, self.roots, read_instant(outer.manifest.created_utc))
        if not _names(outer.manifest, application):
            raise NotASupplement(UNKNOWN)
        return outer

    def _receipt(self) -> Receipt:
        try:
            token = self.asked.read_text("ascii")[: 4 * LONGEST].strip()
            key = self._public()
            return verify_receipt(token, {signed.key_id(key): key})
        except (OSError, UnicodeDecodeError, BadReceipt) as problem:
            raise Failed("bad-receipt", f"{self.asked.name} is no receipt signed by that key") from problem

    def _public(self) -> ec.EllipticCurvePublicKey:
        try:
            key = load_pem_public_key(self.receipt_key.read_bytes())
        except (OSError, ValueError):
            return read_private_key(self.receipt_key).public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise Failed("bad-key-file", f"{self.receipt_key.name} is not a key on P-256")
        return key


def _names(supplement: Manifest, application: Manifest) -> bool:
    about = supplement.supplements
    return about is not msgspec.UNSET and about.packet_id == application.packet_id
