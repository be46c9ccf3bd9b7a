"""Sealed packets and receipts by hand: out to a stick, in from one; each file judged by what it says itself.

Everything can be done twice. What is refused stays where it is, and nothing on the kit changes by it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

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


def export_packets(spool: Spool, stick: Stick) -> list[Moved]:
    """Every packet that the fleet has not committed, onto the stick. It stays here too, until its receipt."""
    moved: list[Moved] = []
    gone = set(spool.uploaded())
    for packet_id in spool.offered():
        data = None if packet_id in gone else spool.read_packet(packet_id)
        if data is not None:
            is_new = stick.put(courier.packet_name(packet_id), data)
            moved.append(Moved(packet_id, "packet", "taken" if is_new else "there"))
    return moved


def import_packets(
    spool: Spool, stick: Stick, roots: Sequence[x509.Certificate], now: datetime
) -> list[Moved]:
    """Packets of this or another kit, from the stick into the spool, to be sent when there is a network."""
    return [_import_packet(spool, stick, packet_id, roots, now) for packet_id in stick.packets()]


def import_receipts(
    spool: Spool, stick: Stick, keys: Mapping[str, ec.EllipticCurvePublicKey], kit_id: str
) -> list[Moved]:
    """Receipts for packets of this kit; the agent looks at each once more before it lets go of anything."""
    moved = []
    for packet_id in stick.receipts():
        token = stick.take_receipt(packet_id)
        try:
            receipt = verify_receipt(token or "", keys)
        except BadReceipt as problem:
            moved.append(Moved(packet_id, "receipt", "refused", problem.code))
            continue
        if receipt.packet_id != packet_id:
            moved.append(Moved(packet_id, "receipt", "refused", "receipt-of-another"))
        elif receipt.kit_id != kit_id:
            moved.append(Moved(packet_id, "receipt", "not-ours"))
        elif packet_id not in spool.offered():
            moved.append(Moved(packet_id, "receipt", "there"))
        else:
            spool.put_receipt(packet_id, token or "")
            moved.append(Moved(packet_id, "receipt", "taken"))
    return moved


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
