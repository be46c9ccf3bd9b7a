"""Health reports that were replaced by a newer one before anybody could hear them, for the fleet's history.

They are no events: nothing depends on them, none is receipted, and when they are many the oldest go.
"""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from device.spool import layout, safefile
from device.spool.held import read_newest
from device.spool.layout import Layout
from device.spool.records import Report
from device.spool.timesource import time_source
from protocol.ids import new_ulid
from protocol.messages import BadMessage, decode_body, instant, moment
from protocol.topics import Tail


class Past:
    """The agent's side: on its thread."""

    def __init__(self, root: Path) -> None:
        self._at = Layout(root)
        self._shown: Report | None = None  # since nobody hears it

    def shown(self, body: bytes, heard: bool) -> None:
        """`body` (JSON of `messages.Health`) is shown from now on; `heard`: the fleet is there to hear it.
        BadMessage when it does not fit; OSError of a disk that takes no more."""
        decode_body(Tail.HEALTH, body)
        before, self._shown = self._shown, None
        if heard:
            return  # and heard the one before, when it came back
        there = self._at.past_names()
        last = there[-1][0] if there else 0
        now = datetime.now(UTC)
        source = time_source(now, read_newest(self._at))
        self._shown = Report(new_ulid(), 1, Tail.HEALTH, instant(now), source, msgspec.Raw(body))
        if before is not None:
            kept = msgspec.structs.replace(before, seq=last + 1)
            path = self._at.past_health(kept.seq, kept.id)
            safefile.put(path, msgspec.json.encode(kept), writer="agent", durable=False)
            for seq, message_id in there[: max(0, len(there) + 1 - layout.MAX_PAST)]:
                safefile.drop(self._at.past_health(seq, message_id))


class PastHatch:
    """The uplink's side."""

    def __init__(self, root: Path) -> None:
        self._at = Layout(root)

    def reports(self, skip: set[str]) -> list[Report]:
        """What waits, oldest first, without those whose ids are in `skip`. What cannot be read is dropped."""
        found = []
        for seq, message_id in self._at.past_names():
            if message_id in skip:
                continue
            path = self._at.past_health(seq, message_id)
            report = _read(safefile.take(path, layout.MAX_REPORT + 1024) or b"")
            if report is None or report.id != message_id:
                safefile.drop(path)  # a worn disk, or the power went
            else:
                found.append(report)
        return found

    def drop(self, message_ids: set[str]) -> None:
        """The broker has these."""
        for seq, message_id in self._at.past_names():
            if message_id in message_ids:
                safefile.drop(self._at.past_health(seq, message_id))


def _read(data: bytes) -> Report | None:
    try:
        report = msgspec.json.decode(data, type=Report)
        decode_body(Tail.HEALTH, bytes(report.body))
        moment(report.ts)
    except (msgspec.DecodeError, UnicodeDecodeError, BadMessage):
        return None
    return report if report.tail is Tail.HEALTH else None
