"""Receipts for what has only been heard: what a build that is broken on purpose sends before it commits."""

from collections.abc import Sequence
from datetime import UTC, datetime

from protocol.ids import new_ulid
from protocol.messages import Envelope, Receipts, apart, decode, encode, instant
from protocol.mqtt5 import Publish
from protocol.topics import Tail, topic_of
from server.broker.line import Line


def receipts(line: Line, batch: Sequence[Publish]) -> None:
    for each in batch:
        if "/up/evt/" not in each.topic:
            continue
        heard = decode(each.topic, each.payload)
        topic, now = topic_of(heard.kit, Tail.RECEIPTS), instant(datetime.now(UTC))
        body = Receipts(ids=tuple(report.id for report in apart(heard)))
        told = Envelope(v=1, id=new_ulid(), kit=heard.kit, ses=0, seq=0, ts=now, ts_src="ntp", body=body)
        line.publish(topic, encode(topic, told))
