"""What the uplink says, in the envelopes of one session: small, within the broker's bounds."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from device.spool.records import Report
from device.spool.timesource import time_source
from protocol.ids import new_ulid
from protocol.messages import (
    MAX_BYTES,
    Batch,
    Body,
    Envelope,
    Health,
    Item,
    Reportable,
    address,
    decode_body,
    encode,
    instant,
    squeeze,
)
from protocol.topics import Tail, topic_of

_OVERHEAD = 24  # fixed header, lengths, packet id, properties of a PUBLISH


class Envelopes:
    """`number` is the session's; `newest`: the newest instant that the fleet has told."""

    def __init__(self, kit_id: str, number: int, newest: Callable[[], datetime]) -> None:
        self._kit_id, self._number, self._newest = kit_id, number, newest
        self._seq = 0
        self.largest = MAX_BYTES + 1024  # a whole PUBLISH; the broker may take less
        self.most_aliases = 0  # of the broker; none at MQTT 3.1.1
        self._aliases: dict[str, int] = {}

    def state(self, tail: Tail, body: Body) -> tuple[str, bytes]:
        """Topic and payload of what is so now."""
        topic = topic_of(self._kit_id, tail)
        return topic, squeeze(encode(topic, self._now(body)))

    def reports(self, reports: Sequence[Report], together: bool) -> tuple[str, bytes]:
        """Topic and payload of reports of the outbox: one by itself, or as many as there are `together`."""
        if together:
            batch = Batch(tuple(self._item(each) for each in reports))
            topic, envelope = topic_of(self._kit_id, Tail.BATCH), self._now(batch)
        else:
            (report,) = reports
            body = decode_body(report.tail, bytes(report.body))
            topic = address(self._kit_id, report.tail, body)
            envelope = Envelope(
                v=1,
                id=report.id,
                kit=self._kit_id,
                ses=self._number,
                seq=report.seq,
                ts=report.ts,
                ts_src=report.ts_src,
                body=body,
            )
        return topic, squeeze(encode(topic, envelope))

    def fits(self, topic: str, data: bytes) -> bool:
        """paho does not look: mosquitto would answer an oversized PUBLISH by ending the connection."""
        return len(data) + len(topic) + _OVERHEAD <= self.largest

    @property
    def most_bytes(self) -> int:
        """Of a message that fits on every topic, however little can be squeezed out of it."""
        return min(MAX_BYTES, self.largest - _OVERHEAD - len(topic_of(self._kit_id, Tail.BATCH)))

    def name(self, topic: str) -> tuple[str, int]:
        """How the broker is told the topic: name and alias. One that it was told before goes as its alias,
        where it takes any: over a mobile link a report costs by the byte."""
        number = self._aliases.get(topic, 0)
        if number:
            return "", number
        if len(self._aliases) < self.most_aliases:
            number = self._aliases[topic] = len(self._aliases) + 1
        return topic, number

    def _now(self, body: Body) -> Envelope:
        now = datetime.now(UTC)
        return Envelope(
            v=1,
            id=new_ulid(),
            kit=self._kit_id,
            ses=self._number,
            seq=self._next(),
            ts=instant(now),
            ts_src=time_source(now, self._newest()),
            body=body,
        )

    def _item(self, report: Report) -> Item:
        body = decode_body(report.tail, bytes(report.body))
        assert isinstance(body, Reportable)
        # Of an event its place in the outbox; of a health report its place in the session.
        seq = self._next() if isinstance(body, Health) else report.seq
        return Item(report.id, seq, report.ts, report.ts_src, body)

    def _next(self) -> int:
        self._seq += 1
        return self._seq
