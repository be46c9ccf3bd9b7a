"""A batch says what its reports would have said alone; one bad report makes it none."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.messages import MAX_BYTES, BadMessage, Batch, Item, apart, decode, encode, squeeze
from protocol.messages.batch import MOST
from protocol.topics import Tail
from tests.protocol.test_messages import BODIES, HEALTH, envelope, topic

TOPIC = topic(Tail.BATCH)
WHOLE = encode(TOPIC, envelope(Tail.BATCH))


def ulid(number: int) -> str:
    return f"01ARZ3NDEKTSV4RRFFQ69G{number:04d}"


def batch(number: int, body: Any = HEALTH) -> Any:
    items = tuple(Item(ulid(each), each, "2026-11-23T08:15:00Z", "rtc", body) for each in range(number))
    return envelope(Tail.BATCH, body=Batch(items))


def test_each_report_comes_out_as_if_it_had_come_alone() -> None:
    outer = decode(TOPIC, squeeze(WHOLE))
    reports = apart(outer)
    assert isinstance(outer.body, Batch)
    for one, item in zip(reports, outer.body.reports, strict=True):
        assert (one.v, one.kit, one.ses) == (1, outer.kit, outer.ses)
        assert (one.id, one.seq, one.ts, one.ts_src, one.body) == msgspec.structs.astuple(item)


@pytest.mark.parametrize("tail", [tail for tail in Tail if tail is not Tail.BATCH])
def test_any_other_message_is_one_message(tail: Tail) -> None:
    assert apart(envelope(tail)) == (envelope(tail),)


def test_a_batch_has_its_bound() -> None:
    full = batch(MOST)
    assert apart(decode(TOPIC, encode(TOPIC, full)))[-1].id == ulid(MOST - 1)
    with pytest.raises(BadMessage):
        encode(TOPIC, batch(MOST + 1))
    assert len(msgspec.json.encode(full)) <= MAX_BYTES


def test_reports_together_cost_a_fraction_of_the_same_alone() -> None:
    alone = len(squeeze(encode(topic(Tail.HEALTH), envelope(Tail.HEALTH))))
    assert len(squeeze(encode(TOPIC, batch(20)))) / 20 < alone / 3


@pytest.mark.parametrize(
    "tail", [Tail.PRESENCE, Tail.BIRTH, Tail.REPORTED, Tail.ASK_JOBS, Tail.RECEIPTS, Tail.BATCH]
)
def test_what_is_no_report_does_not_go_in_a_batch(tail: Tail) -> None:
    with pytest.raises(BadMessage):
        encode(TOPIC, batch(2, BODIES[tail]))


@given(st.data())
def test_a_batch_with_anything_changed_is_read_as_one_or_refused(data: st.DataObject) -> None:
    """Bytes put in, taken out and overwritten; the JSON with members dropped, doubled, swapped."""
    if data.draw(st.booleans()):
        raw = bytearray(data.draw(st.sampled_from([WHOLE, squeeze(WHOLE)])))
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(raw) - 1))
            raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        changed = bytes(raw)
    else:
        whole = json.loads(WHOLE)
        reports = whole["body"]["reports"]
        values = st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=4
        )
        for _ in range(data.draw(st.integers(1, 3))):
            item = data.draw(st.sampled_from(reports))
            inner = data.draw(
                st.sampled_from([item, item["body"] if isinstance(item["body"], dict) else item])
            )
            inner[data.draw(st.sampled_from([*inner, "extra"]))] = data.draw(values)
            if data.draw(st.booleans()):
                reports.insert(data.draw(st.integers(0, len(reports))), data.draw(st.sampled_from(reports)))
        changed = json.dumps(whole).encode()
    try:
        found = apart(decode(TOPIC, changed))
    except BadMessage:
        return
    assert 1 <= len(found) <= MOST
    assert len({one.id for one in found}) == len(found)
