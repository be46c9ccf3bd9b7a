"""What both sides read from the spool: a packet's mark, the day bag."""

from datetime import UTC, datetime

import msgspec

from device.spool import layout, safefile
from device.spool.layout import Layout, read_number
from device.spool.records import Mark


def read_mark(at: Layout, packet_id: str) -> Mark | None:
    """None when there is none, or none that can be read: the uplink then asks the fleet and writes anew."""
    data = safefile.take(at.mark(packet_id), 4096)
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=Mark)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def read_newest(at: Layout) -> datetime:
    """The newest instant that the fleet has told this kit: a floor under every clock. 1970 when it never
    has."""
    return datetime.fromtimestamp(read_number(at.newest), UTC)


def read_bag(at: Layout) -> tuple[int, bytes] | None:
    """Version and sealed bytes. The file is the version in ASCII, a line feed, the bytes.

    None when there is none, or none that can be read: the uplink then fetches it again."""
    data = safefile.take(at.bag, layout.MAX_BAG + 32)
    head, line, sealed = (data or b"").partition(b"\n")
    return (int(head), sealed) if line and len(head) <= 16 and head.isdigit() else None
