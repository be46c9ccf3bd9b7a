"""The agent's side of the hatch: offer sealed packets, report events, show states, fetch bag and receipts."""

import errno
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from device.errors import Code, KitError, Remedy
from device.spool import layout, safefile
from device.spool.bell import Bell
from device.spool.held import read_bag, read_mark, read_newest
from device.spool.layout import Claim, Layout, SpoolRefused, checked, is_claimed, read_number
from device.spool.records import LinkStatus, Mark, Parcel, Places, Report, Says
from device.spool.timesource import time_source
from protocol.ids import new_ulid
from protocol.instant import read_instant
from protocol.messages import decode_body, instant
from protocol.topics import EVENTS, Tail

_WRITER = "agent"
_STALE_S = 120.0  # the uplink speaks every 30 s
_SHOWN = {"birth": Tail.BIRTH, "health": Tail.HEALTH, "reported": Tail.REPORTED}


class Spool:
    """May be used from any thread. What writes raises KitError disk-full; SpoolRefused is the caller's."""

    def __init__(self, root: Path) -> None:
        self._at = Layout(root)
        self._at.make()
        self._claim = Claim(self._at.agent_lock)
        if self._claim.held:  # otherwise another agent (or the doctor beside it) may be writing just now
            self._at.sweep(_WRITER)
        self._lock = threading.RLock()
        self._agent_bell = Bell(self._at.agent_bell)
        self._uplink_bell = Bell(self._at.uplink_bell)

    @property
    def root(self) -> Path:
        return self._at.root

    def close(self) -> None:
        self._agent_bell.close()
        self._claim.release()

    # --- sealed packets ---------------------------------------------------------------------------

    def offer_packet(self, packet_id: str, data: bytes) -> None:
        """Put a sealed packet out for sending; the same packet a second time changes nothing.

        SpoolRefused bad-name, empty, too-big, or differs when other bytes lie there under this id."""
        checked(packet_id)
        if not 0 < len(data) <= layout.MAX_PACKET:
            raise SpoolRefused("too-big" if data else "empty", f"{len(data)} bytes")
        with self._lock, room():
            there = self._at.packet(packet_id)
            if there is not None:
                if safefile.take(there, layout.MAX_PACKET) != data:
                    raise SpoolRefused("differs", packet_id)
                return
            if len(self._at.packets_there()) >= layout.MAX_PACKETS:
                raise KitError(Code.DISK_FULL, Remedy.WORKSHOP, f"{layout.MAX_PACKETS} sealed packets wait")
            safefile.put(self._at.next_packet(packet_id), data, writer=_WRITER)
        self.ring_uplink()

    def announce_packet(self, is_near: bool) -> None:
        """Say that one will be offered in a moment, or that none will: a connection is kept ready for it."""
        if is_near and not self._at.soon.exists():
            with room():
                safefile.put(self._at.soon, b"", writer=_WRITER, durable=False)
            self.ring_uplink()
        elif not is_near:
            safefile.drop(self._at.soon)

    def withdraw_packet(self, packet_id: str) -> bool:
        """Take a packet and its mark away; False when it was not there. Only on the service's receipt."""
        with self._lock:
            path = self._at.packet(packet_id)
            there = path is not None and safefile.drop(path)
            safefile.drop(self._at.mark(packet_id))
        return there

    def read_packet(self, packet_id: str) -> bytes | None:
        """The bytes of a packet that lies here; None when it does not."""
        path = self._at.packet(packet_id)
        return None if path is None else safefile.take(path, layout.MAX_PACKET)

    def offered(self) -> list[str]:
        """Ids of the packets that lie here, oldest first."""
        return list(self._at.packets_there())

    def marks(self) -> dict[str, Mark]:
        """The uplink's word on each packet it has begun: sending, uploaded, refused with a code."""
        found = {packet_id: read_mark(self._at, packet_id) for packet_id in self.offered()}
        return {packet_id: mark for packet_id, mark in found.items() if mark is not None}

    def uploaded(self) -> list[str]:
        """Ids of the packets that the fleet has committed."""
        return [packet_id for packet_id, mark in self.marks().items() if mark.state == "uploaded"]

    def refused(self) -> list[tuple[str, str]]:
        """(packet id, the fleet's code) of the packets that it will not take."""
        return [(packet_id, mark.code) for packet_id, mark in self.marks().items() if mark.state == "refused"]

    def try_now(self) -> None:
        """A person does not want to wait: offer everything again, also what was refused for good."""
        with self._lock, room():
            safefile.put(self._at.try_now, b"", writer=_WRITER)
        self.ring_uplink()

    def renew_now(self) -> None:
        """The fleet commands it: the uplink asks for a new certificate, however young the one it has."""
        with self._lock, room():
            safefile.put(self._at.renew_now, b"", writer=_WRITER)
        self.ring_uplink()

    # --- reports ----------------------------------------------------------------------------------

    def report(self, topic_tail: str, body: bytes, message_id: str = "") -> str:
        """Put an event into the outbox, on disk when this returns; its message id.

        `topic_tail` is `up/evt/visit` or `up/evt/application`, `body` the JSON of the body's struct. With
        a `message_id` of the caller's, the same event after a crash is the same event.
        protocol.messages.BadMessage when the body does not fit; SpoolRefused bad-name, too-big."""
        try:
            tail = Tail(topic_tail)
        except ValueError as problem:
            raise SpoolRefused("bad-name", topic_tail[:40]) from problem
        if tail not in EVENTS:
            raise SpoolRefused("bad-name", f"{tail} is no event")
        decode_body(tail, body)
        if len(body) > layout.MAX_REPORT:
            raise SpoolRefused("too-big", f"{len(body)} bytes")
        message_id = checked(message_id) if message_id else new_ulid()
        now = datetime.now(UTC)
        source = time_source(now, read_newest(self._at))
        with self._lock, room():
            there = self._at.event_names()
            last = max(read_number(self._at.event_counter), there[-1][0] if there else 0)
            if message_id not in {name for _, name in there}:
                if len(there) >= layout.MAX_REPORTS:
                    raise KitError(Code.DISK_FULL, Remedy.WORKSHOP, f"{layout.MAX_REPORTS} reports wait")
                last += 1
                report = Report(message_id, last, tail, instant(now), source, msgspec.Raw(body))
                safefile.put(self._at.event(last, message_id), msgspec.json.encode(report), writer=_WRITER)
            # The counter is the commit: the uplink sends nothing beyond it, so no number is ever used twice
            # or left out, wherever the power goes.
            safefile.put(self._at.event_counter, str(last).encode(), writer=_WRITER)
        self.ring_uplink()
        return message_id

    def reports_waiting(self) -> int:
        return len(self._at.event_names())

    def show(self, name: Literal["birth", "health", "reported"], body: bytes) -> None:
        """Replace what the fleet sees of this kit: JSON of `messages.Birth`, `Health` or `Reported`,
        newest only."""
        if name not in _SHOWN:
            raise SpoolRefused("bad-name", str(name)[:40])
        decode_body(_SHOWN[name], body)
        if len(body) > layout.MAX_SHOWN:
            raise SpoolRefused("too-big", f"{len(body)} bytes")
        path = self._at.shown / f"{name}.json"
        with self._lock, room():
            if safefile.take(path, layout.MAX_SHOWN) == body:
                return
            safefile.put(path, body, writer=_WRITER, durable=False)
        self.ring_uplink()

    # --- what came down ---------------------------------------------------------------------------

    def bag(self) -> tuple[int, bytes] | None:
        """Version and sealed bytes of the newest day bag; None when there is none that can be read."""
        return read_bag(self._at)

    def receipts(self) -> list[tuple[str, str]]:
        """(packet id, signed receipt) that the uplink has stored, unverified, oldest packet first."""
        found = []
        for packet_id in self._at.ids(self._at.receipts, ".jws"):
            data = safefile.take(self._at.receipt(packet_id), layout.MAX_RECEIPT)
            if data is not None and data.isascii():
                found.append((packet_id, data.decode("ascii")))
        return found

    def put_receipt(self, packet_id: str, receipt: str) -> None:
        """A receipt that came by hand, as if the uplink had brought it. SpoolRefused bad-name, too-big."""
        path = self._at.receipt(packet_id)
        if not 0 < len(receipt) <= layout.MAX_RECEIPT or not receipt.isascii():
            raise SpoolRefused("too-big" if receipt else "empty")
        with self._lock, room():
            safefile.put(path, receipt.encode("ascii"), writer="courier")

    def drop_receipt(self, packet_id: str) -> bool:
        """The receipt has been dealt with; False when it was gone already."""
        with self._lock:
            return safefile.drop(self._at.receipt(packet_id))

    def places(self) -> Places:
        """Where the fleet last said that applications are, by packet id."""
        data = safefile.take(self._at.places, layout.MAX_PLACES)
        try:
            return msgspec.json.decode(data, type=Places) if data else {}
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {}  # the next fetch writes it anew

    # --- the link ---------------------------------------------------------------------------------

    def link(self) -> LinkStatus:
        """What may be told of the network. Offline when the uplink does not run or has been silent."""
        says = self._says()
        marks = self.marks()
        waiting = [name for name in self.offered() if name not in marks or marks[name].state != "uploaded"]
        mark = marks.get(says.sending) if says else None
        return LinkStatus(
            online=says is not None and says.online,
            fleet=says is not None and says.fleet,
            problem=says.problem if says else "uplink-not-running",
            waiting=len(waiting),
            oldest_s=max((self._age(packet_id) for packet_id in waiting), default=0),
            reports_waiting=self.reports_waiting(),
            sending=says.sending if says and mark else "",
            sending_share=_share(mark) if mark and mark.size else None,
            parcels=tuple(
                self._parcel(name, marks.get(name), name == (says.sending if says else ""))
                for name in waiting
            ),
            outage=(read_instant(says.outage[0]), read_instant(says.outage[1]))
            if says and says.outage
            else None,
        )

    def ring_uplink(self) -> None:
        """Say that there is something to send. Every call that puts something does so by itself."""
        self._uplink_bell.ring()

    def wait_for_agent(self, seconds: float) -> bool:
        """Wait until the uplink rings for the agent; True when it did (a mark, a bag, a receipt)."""
        return self._agent_bell.wait(seconds)

    def _says(self) -> Says | None:
        data = safefile.take(self._at.link, 4096)
        if data is None or not is_claimed(self._at.uplink_lock):
            return None
        try:
            says = msgspec.json.decode(data, type=Says)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return says if 0 <= time.clock_gettime(time.CLOCK_BOOTTIME) - says.boot_s < _STALE_S else None

    def _parcel(self, packet_id: str, mark: Mark | None, is_sending: bool) -> Parcel:
        share = _share(mark) if mark and mark.size else 0.0
        if mark is not None and mark.state == "refused":
            state: Literal["stopped", "refused"] = "stopped" if mark.final else "refused"
            return Parcel(packet_id, state, mark.code, self._age(packet_id), share)
        return Parcel(packet_id, "sending" if is_sending else "queued", "", self._age(packet_id), share)

    def _age(self, packet_id: str) -> int:
        path = self._at.packet(packet_id)
        try:
            return max(0, int(time.time() - path.stat().st_mtime)) if path is not None else 0
        except FileNotFoundError:
            return 0


def _share(mark: Mark) -> float:
    return min(1.0, mark.sent / mark.size)


@contextmanager
def room() -> Iterator[None]:
    """A full disk is the administrator's to put right; any other failure of the disk is not survivable."""
    try:
        yield
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise KitError(Code.DISK_FULL, Remedy.WORKSHOP, "spool") from problem
        raise
