"""A health report is read the short way only where the strict way reads the same."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.messages import BadMessage, Envelope, Health, decode, encode, often
from protocol.topics import Tail, topic_of

KIT = "kit-brugge-01"
TOPIC = topic_of(KIT, Tail.HEALTH)
SAID: dict[str, Any] = {
    "v": 1,
    "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "kit": KIT,
    "ses": 3,
    "seq": 9,
    "ts": "2026-11-23T09:30:00.250Z",
    "ts_src": "ntp",
    "body": {
        "kind": "health",
        "battery": 80,
        "mains": None,
        "temperature_c": -4,
        "disk_free_mb": 100_000,
        "peripherals": {"card": "ok", "signpad": "missing"},
        "sealed_waiting": 1,
        "oldest_waiting_s": 60,
        "reports_waiting": 0,
        "in_visit": True,
        "uptime_s": 7,
    },
}
STRICT = msgspec.json.Decoder(Envelope)


def test_both_structs_have_the_members_of_what_they_stand_for() -> None:
    for short, whole, rare in ((often.Report, Envelope, []), (often._Health, Health, ["unread"])):
        short_fields, whole_fields = msgspec.structs.fields(short), msgspec.structs.fields(whole)
        for ours, theirs in zip(short_fields, whole_fields, strict=False):
            assert (ours.name, ours.default) == (theirs.name, theirs.default)
        assert [each.name for each in whole_fields[len(short_fields) :]] == rare


def test_a_report_with_a_visit_that_cannot_be_read_goes_the_strict_way_and_is_taken() -> None:
    unread = [SAID["id"]]
    data = json.dumps(SAID | {"body": SAID["body"] | {"unread": unread}}).encode()
    assert often.report(KIT, data) is None
    taken = decode(TOPIC, data).body
    assert isinstance(taken, Health)
    assert list(taken.unread or ()) == unread


def test_a_report_is_read_the_short_way_and_is_the_same() -> None:
    data = json.dumps(SAID).encode()
    assert often.report(KIT, data) is not None
    assert decode(TOPIC, data) == STRICT.decode(data)
    assert decode(TOPIC, encode(TOPIC, decode(TOPIC, data))) == STRICT.decode(data)


@pytest.mark.parametrize(
    "change",
    [
        {"kit": "kit-damme-01"},
        {"id": "01ARZ3NDEKTSV4RRFFQ69G5FAVA"},
        {"id": "81ARZ3NDEKTSV4RRFFQ69G5FAV"},
        {"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV\n"},
        {"ts": "2026-02-30T09:30:00Z"},
        {"ts": "2026-11-23T09:30:00+01:00"},
        {"v": 2},
        {"seq": -1},
        {"more": 1},
        {"body": SAID["body"] | {"kind": "other"}},
        {"body": {"kind": "other"}},
        {"body": {"kind": "presence", "s": "online"}},
        {"body": {name: value for name, value in SAID["body"].items() if name != "kind"}},
        {"body": SAID["body"] | {"peripherals": {"Card": "ok"}}},
        {"body": SAID["body"] | {"peripherals": {"card\n": "ok"}}},
        {"body": SAID["body"] | {"peripherals": {"card": "Jan"}}},
        {"body": SAID["body"] | {"peripherals": {f"p{number}": "ok" for number in range(17)}}},
        {"body": SAID["body"] | {"battery": 101}},
        {"body": SAID["body"] | {"name": "Jan"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_the_strict_way_refuses_is_refused_as_ever(change: dict[str, Any]) -> None:
    data = json.dumps(SAID | change).encode()
    assert often.report(KIT, data) is None
    with pytest.raises(BadMessage):
        decode(TOPIC, data)


def _swapped(data: bytes, at: int, byte: int) -> bytes:
    return data[:at] + bytes([byte]) + data[at + 1 :]


def _cut(data: bytes, at: int, byte: int) -> bytes:
    return data[:at] + data[at + byte :]


@given(st.data(), st.sampled_from([_swapped, _cut]))
def test_bytes_that_went_wrong_are_read_both_ways_alike(
    draw: st.DataObject, wrong: Callable[[bytes, int, int], bytes]
) -> None:
    data = json.dumps(SAID).encode()
    at, byte = draw.draw(st.integers(0, len(data) - 1)), draw.draw(st.integers(1, 255))
    data = wrong(data, at, byte)
    short = often.report(KIT, data)
    if short is not None:
        strictly = STRICT.decode(data)
        assert strictly.body == short[1]
        assert strictly.id == short[0].id
        assert strictly.kit == KIT
