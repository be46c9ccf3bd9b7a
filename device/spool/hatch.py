"""The uplink's side of the hatch: take what waits, put down what came, tell how it goes."""

import time
from datetime import datetime, timedelta
from io import BufferedReader
from pathlib import Path
from typing import Literal

import msgspec

from device.spool import layout, safefile
from device.spool.bell import Bell
from device.spool.held import read_bag, read_mark, read_newest
from device.spool.layout import Claim, Layout, SpoolRefused, checked, read_number
from device.spool.records import Mark, Places, Report, Says, Waiting
from protocol.messages import BadMessage, decode_body, moment
from protocol.topics import EVENTS

_WRITER = "uplink"
NOTED = timedelta(hours=1)  # a write an hour is enough for certificates that live for days


class SpoolTaken(Exception):
    """Another uplink works on this spool."""


class Hatch:
    """One process at a time. Marks, receipts and events may be handled from different threads of it."""

    def __init__(self, root: Path, patience_s: float = 2.0) -> None:
        self._at = Layout(root)
        self._at.make()
        self._claim = Claim(self._at.uplink_lock)
        until = time.monotonic() + patience_s  # a look from the agent holds it for a moment
        while not self._claim.held:
            self._claim.release()
            if time.monotonic() > until:
                raise SpoolTaken(str(root))
            time.sleep(0.05)
            self._claim = Claim(self._at.uplink_lock)
        self._at.sweep(_WRITER)
        for packet_id in set(self._at.ids(self._at.marks, ".json")) - set(self._at.packets_there()):
            safefile.drop(self._at.mark(packet_id))  # withdrawn while the last word on it was being written
        self._agent_bell = Bell(self._at.agent_bell)
        self._uplink_bell = Bell(self._at.uplink_bell)
        self._uplink_bell.listen()

    def close(self) -> None:
        self._uplink_bell.close()
        self._claim.release()

    # --- sealed packets ---------------------------------------------------------------------------

    def packets(self) -> list[Waiting]:
        """Every packet that lies here, with its mark, oldest first."""
        found = []
        for packet_id, path in self._at.packets_there().items():
            try:
                there = path.stat()
            except FileNotFoundError:
                continue
            found.append(Waiting(packet_id, there.st_size, there.st_mtime, read_mark(self._at, packet_id)))
        return found

    def open_packet(self, packet_id: str) -> BufferedReader:
        """FileNotFoundError when the agent has withdrawn it."""
        path = self._at.packet(packet_id)
        if path is None:
            raise FileNotFoundError(packet_id)
        return path.open("rb")

    def mark(self, packet_id: str, mark: Mark) -> None:
        """Say how far a packet is. Progress may be lost with the power, a last word may not."""
        if self._at.packet(packet_id) is None:
            return
        durable = mark.state != "sending"
        safefile.put(self._at.mark(packet_id), msgspec.json.encode(mark), writer=_WRITER, durable=durable)
        if durable:
            self.ring_agent()

    def asked_to_try(self) -> bool:
        """Whether a person has asked since the last time not to wait any longer."""
        return safefile.drop(self._at.try_now)

    def renewal_ordered(self) -> int | None:
        """Which command of the fleet to renew the certificate is not carried out yet, by a number of its own;
        None when there is none."""
        try:
            return self._at.renew_now.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def renewal_carried_out(self) -> None:
        safefile.drop(self._at.renew_now)

    def is_packet_near(self) -> bool:
        """Whether one will be offered in a moment, as far as the agent knows."""
        return self._at.soon.exists()

    # --- reports ----------------------------------------------------------------------------------

    def reports(self, limit: int, skip: frozenset[str] | set[str] = frozenset()) -> list[Report]:
        """The oldest events of the outbox, at most `limit`, without those in `skip`."""
        committed = read_number(self._at.event_counter)
        found: list[Report] = []
        for seq, message_id in self._at.event_names():
            if len(found) >= limit or seq > committed:
                break
            if message_id in skip:
                continue
            report = self._read_report(seq, message_id)
            if report is not None:
                found.append(report)
        return found

    def drop_reports(self, message_ids: tuple[str, ...]) -> list[str]:
        """The fleet's receipt names these: they leave the outbox. The ones that were there."""
        wanted = set(message_ids)
        there = [(seq, name) for seq, name in self._at.event_names() if name in wanted]
        return [name for seq, name in there if safefile.drop(self._at.event(seq, name))]

    def shown(self, name: Literal["birth", "health", "reported"]) -> bytes | None:
        """The newest body that the agent shows under `name`, JSON, unchecked."""
        return safefile.take(self._at.shown / f"{name}.json", layout.MAX_SHOWN)

    # --- what came down ---------------------------------------------------------------------------

    def bag_version(self) -> int:
        """0 when there is no bag."""
        bag = read_bag(self._at)
        return bag[0] if bag else 0

    def store_bag(self, version: int, sealed: bytes) -> bool:
        """Keep a bag that is newer than the one held; False when it is not. SpoolRefused too-big, empty."""
        layout.bounded(sealed, layout.MAX_BAG)
        if version <= self.bag_version():
            return False
        safefile.put(self._at.bag, b"%d\n" % version + sealed, writer=_WRITER)
        self.ring_agent()
        return True

    def store_receipt(self, packet_id: str, receipt: str) -> None:
        """Keep a signed receipt, the newest for a packet. SpoolRefused bad-name, empty, too-big, full."""
        path = self._at.receipt(packet_id)
        if not 0 < len(receipt) <= layout.MAX_RECEIPT or not receipt.isascii():
            raise SpoolRefused("too-big" if receipt else "empty")
        if len(safefile.names(self._at.receipts)) >= layout.MAX_RECEIPTS and not path.exists():
            raise SpoolRefused("full", f"{layout.MAX_RECEIPTS} receipts wait for the agent")
        safefile.put(path, receipt.encode("ascii"), writer=_WRITER)
        self.ring_agent()

    def store_places(self, places: Places) -> None:
        """Keep where the fleet says that applications are; the agent is rung when that has changed."""
        data = msgspec.json.encode(places, order="sorted")
        if safefile.take(self._at.places, layout.MAX_PLACES) != data:
            safefile.put(self._at.places, data, writer=_WRITER, durable=False)
            self.ring_agent()

    # --- the link ---------------------------------------------------------------------------------

    def next_session(self) -> int:
        """The number of the next connect, on disk before it is used: it grows for the life of the kit."""
        number = read_number(self._at.session) + 1
        safefile.put(self._at.session, str(number).encode(), writer=_WRITER)
        return number

    def newest_time(self) -> datetime:
        """The newest instant that the fleet has told; 1970 when it never has."""
        return read_newest(self._at)

    def note_time(self, at: datetime) -> None:
        """The fleet says that it is `at`: kept when it is an hour newer than what is held. Never goes
        back."""
        if at > self.newest_time() + NOTED:
            safefile.put(self._at.newest, str(int(at.timestamp())).encode(), writer=_WRITER)

    def tell(
        self,
        *,
        online: bool,
        fleet: bool,
        problem: str,
        sending: str,
        outage: tuple[str, str] | None = None,
    ) -> None:
        """Say how the link is; again every 30 s, so that silence means something. `outage`: two instants."""
        says = Says(
            online,
            fleet,
            problem,
            checked(sending) if sending else "",
            time.clock_gettime(time.CLOCK_BOOTTIME),
            outage,
        )
        safefile.put(self._at.link, msgspec.json.encode(says), writer=_WRITER, durable=False)

    def ring_agent(self) -> None:
        self._agent_bell.ring()

    def wait_for_uplink(self, seconds: float) -> bool:
        """Wait until the agent rings for the uplink; True when it did."""
        return self._uplink_bell.wait(seconds)

    def _read_report(self, seq: int, message_id: str) -> Report | None:
        path = self._at.event(seq, message_id)
        data = safefile.take(path, layout.MAX_REPORT + 1024)
        if data is None and not path.exists():
            return None
        try:
            report = msgspec.json.decode(data or b"", type=Report)
            if (report.seq, report.id) == (seq, message_id) and report.tail in EVENTS:
                moment(report.ts)
                decode_body(report.tail, bytes(report.body))
                return report
        except (msgspec.DecodeError, UnicodeDecodeError, BadMessage):
            pass  # judged below, like a file that says it is another event
        # Not by a power cut (a file is whole or absent): a worn disk or a stranger. Out of the way, but kept.
        path.rename(self._at.damaged / path.name)
        return None
