"""Sealed packets and receipts by hand: out to a stick, in from one; each file judged by what it says itself.

Everything can be done twice. What is refused stays where it is, and nothing on the kit changes by it. Each
walk yields file by file, so that whoever asked for it can tell how far it is, or stop between two.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from device.errors import Code, KitError, Remedy
from device.spool import layout
from device.spool.layout import SpoolRefused
from device.spool.spool import Spool
from device.spool.stick import Stick
from protocol import courier
from protocol.sealed.outer import check_payload, check_signatures, read_outer
from protocol.sealed.receipt import BadReceipt, verify_receipt
from protocol.sealed.refusal import BadPacket


@dataclass(frozen=True)
class Moved:
    """One file of a stick. `code` says why it was refused."""

    packet_id: str
    what: Literal["packet", "receipt"]
    outcome: Literal["taken", "there", "not-ours", "refused"]
    code: str = ""


def read_roots(path: Path) -> Sequence[x509.Certificate]:
    """The roots under which kits and officers sign. KitError bad-config."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as problem:
        detail = f"{path}: no root certificates in it"
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, detail) from problem


def to_carry(spool: Spool) -> list[str]:
    """The packets that an export takes along: those that the fleet has not committed, oldest first."""
    gone = set(spool.uploaded())
    return [packet_id for packet_id in spool.offered() if packet_id not in gone]


Why = Literal["damaged", "suspect", "foreign", "clock", "other"]
_WHY: Mapping[str, Why] = {
    **dict.fromkeys(
        ("truncated", "not-a-packet", "payload-digest", "trailing-bytes", "too-large"), "damaged"
    ),
    **dict.fromkeys(("differs", "wrong-packet-id", "kit-signature", "officer-signature"), "suspect"),
    **dict.fromkeys(("receipt-untrusted", "receipt-of-another"), "suspect"),
    "certificate-untrusted": "foreign",
    "from-the-future": "clock",
}


def why(code: str) -> Why:
    """What an officer is told of a refused file."""
    return _WHY.get(code, "other")


def export_packets(spool: Spool, stick: Stick) -> Iterator[Moved]:
    """Every packet that the fleet has not committed, onto the stick. It stays here too, until its receipt."""
    for packet_id in to_carry(spool):
        data = spool.read_packet(packet_id)
        if data is not None:
            is_new = stick.put(courier.packet_name(packet_id), data)
            yield Moved(packet_id, "packet", "taken" if is_new else "there")


def import_packets(
    spool: Spool, stick: Stick, roots: Sequence[x509.Certificate], now: datetime
) -> Iterator[Moved]:
    """Packets of this or another kit, from the stick into the spool, to be sent when there is a network."""
    for packet_id in stick.packets():
        yield _import_packet(spool, stick, packet_id, roots, now)


def import_receipts(
    spool: Spool, stick: Stick, keys: Mapping[str, ec.EllipticCurvePublicKey], kit_id: str
) -> Iterator[Moved]:
    """Receipts for packets of this kit; the agent looks at each once more before it lets go of anything."""
    for packet_id in stick.receipts():
        token = stick.take_receipt(packet_id)
        try:
            receipt = verify_receipt(token or "", keys)
        except BadReceipt as problem:
            yield Moved(packet_id, "receipt", "refused", problem.code)
            continue
        if receipt.packet_id != packet_id:
            yield Moved(packet_id, "receipt", "refused", "receipt-of-another")
        elif receipt.kit_id != kit_id:
            yield Moved(packet_id, "receipt", "not-ours")
        elif packet_id not in spool.offered():
            yield Moved(packet_id, "receipt", "there")
        else:
            spool.put_receipt(packet_id, token or "")
            yield Moved(packet_id, "receipt", "taken")


def _import_packet(
    spool: Spool, stick: Stick, packet_id: str, roots: Sequence[x509.Certificate], now: datetime
) -> Moved:
    data = stick.take_packet(packet_id, layout.MAX_PACKET)
    if data is None:
        return Moved(packet_id, "packet", "refused", "too-large")
    try:
        stream = BytesIO(data)
        outer = read_outer(stream)
        check_payload(outer, stream)
        check_signatures(outer, roots, roots, now)
        if outer.manifest.packet_id != packet_id:
            return Moved(packet_id, "packet", "refused", "wrong-packet-id")
        is_here = packet_id in spool.offered()
        spool.offer_packet(packet_id, data)
    except (BadPacket, SpoolRefused) as problem:
        return Moved(packet_id, "packet", "refused", str(problem.code))
    return Moved(packet_id, "packet", "there" if is_here else "taken")
