"""A packet on its way to where it is kept: what is known of it, and when it may count."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from protocol.sealed import manifest


class Sink(Protocol):
    """Where a packet is made: in a space of its size, and at last what stands at its beginning."""

    def space(self, size: int) -> memoryview: ...

    def ready(self, start: int, end: int) -> None:
        """What lies there in the space will not change any more."""

    def begin(self, front: bytes) -> None:
        """All lies there now, with this at its beginning: it may be written."""

    def finish(self) -> None:
        """All is where it belongs when this returns."""


Named = tuple[str, str, int, str]
"""`packet_id`, `visit_id`, `seq` and `prev` of a manifest: which packet it is, and its place in the chain."""


def named(core: manifest.Core) -> Named:
    return core.packet_id, core.visit_id, core.seq, core.prev


class Written(msgspec.Struct, frozen=True, eq=False):
    """What is known of a packet that lies elsewhere; `size` in bytes.

    It may count once `complete` has returned: signed by both, let through by its reader, and where it
    belongs. BadPacket when the manifest breaks a rule its reader checks; what the sink raises."""

    packet: Named
    manifest_sha256: str
    size: int
    complete: Callable[[], None]

    def __repr__(self) -> str:
        return f"Written({self.packet[0]})"


def begin(
    sink: Sink, front: bytes, packet: Named, data: bytes, size: int, check: Callable[[], None]
) -> Written:
    """Have a packet written that begins with `front`, of a manifest spelled `data`. While it is on its way to
    the disk, it is checked."""

    def complete() -> None:
        check()
        sink.finish()

    sink.begin(front)
    return Written(packet, manifest.digest(data), size, complete)
