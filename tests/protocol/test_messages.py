"""Messages are strict both ways and have no room for personal data."""

import json
import re
import types
import typing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import messages
from protocol.messages import (
    BODY_OF,
    MAX_BYTES,
    AccessEvent,
    ApplicationEvent,
    AskJobs,
    AskTime,
    AskTwin,
    BadMessage,
    Batch,
    Birth,
    Body,
    DeletionEvent,
    Desired,
    Doorbell,
    Envelope,
    FleetState,
    Health,
    Item,
    JobEvent,
    JobsAnswer,
    Notice,
    Outage,
    Peripheral,
    Presence,
    Receipts,
    Reported,
    SettingResult,
    TimeAnswer,
    TwinAnswer,
    VisitEvent,
    address,
    decode,
    decode_body,
    encode,
    encode_body,
    instant,
    label,
    moment,
)
from protocol.topics import OF_ALL, Tail, parse, topic_of

ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
HEALTH = Health(
    battery=80,
    mains=None,
    temperature_c=-5,
    disk_free_mb=12_000,
    peripherals={"card": "ok", "camera": "missing"},
    sealed_waiting=1,
    oldest_waiting_s=60,
    reports_waiting=2,
    in_visit=True,
    uptime_s=3600,
)
BIRTH = Birth(
    version="0.1.0",
    started="2026-11-23T08:00:00Z",
    peripherals=(Peripheral("card", "Virtual PCD 00 00", "", "1.2"),),
    certificate_until="2026-12-23T08:00:00.000Z",
    bag=2,
    protection="reduced",
    test_trust=True,
)
BODIES: dict[Tail, Body] = {
    Tail.PRESENCE: Presence("online"),
    Tail.BIRTH: BIRTH,
    Tail.HEALTH: HEALTH,
    Tail.VISIT: VisitEvent(ULID, "abandoned", "not-home"),
    Tail.APPLICATION: ApplicationEvent(ULID, ULID, "sealed", "0" * 64),
    Tail.DELETION: DeletionEvent("eyJ0.e30.c2ln"),
    Tail.ACCESS: AccessEvent("code-used", "a" * 64),
    Tail.BATCH: Batch(
        (
            Item("01ARZ3NDEKTSV4RRFFQ69G5FB2", 3, "2026-11-23T08:15:00.000Z", "rtc", HEALTH),
            Item("01ARZ3NDEKTSV4RRFFQ69G5FB3", 7, "2026-11-23T08:20:00Z", "rtc", VisitEvent(ULID, "opened")),
            Item("01ARZ3NDEKTSV4RRFFQ69G5FB4", 8, "2026-11-23T08:45:00Z", "none", VisitEvent(ULID, "sealed")),
        )
    ),
    Tail.REPORTED: Reported(
        version=3,
        results=(
            SettingResult("language", "applied"),
            SettingResult("idle-lock-s", "refused", "out-of-range"),
        ),
    ),
    Tail.JOB: JobEvent(ULID, "refused", "replayed"),
    Tail.ASK_JOBS: AskJobs(ULID),
    Tail.ASK_TWIN: AskTwin(ULID),
    Tail.ASK_TIME: AskTime(ULID),
    Tail.ANSWER_JOBS: JobsAnswer(ULID, ("eyJ0.e30.c2ln",), True),
    Tail.ANSWER_TWIN: TwinAnswer(ULID, None),
    Tail.ANSWER_TIME: TimeAnswer(ULID, "2026-11-23T09:30:00.125Z"),
    Tail.DESIRED: Desired("eyJ0.e30.c2ln"),
    Tail.NOTICE: Notice(
        crl_number=7, minimum_version="0.1.0", outage=Outage("2026-11-23T22:00:00Z", "2026-11-23T23:00:00Z")
    ),
    Tail.RECEIPTS: Receipts((ULID,)),
    Tail.DOORBELL: Doorbell("inbox"),
    Tail.FLEET: FleetState("online"),
}


def envelope(tail: Tail, **changes: Any) -> Envelope:
    values = {
        "v": 1,
        "id": ULID,
        "kit": "" if tail in OF_ALL else "kit-a",
        "ses": 1,
        "seq": 2,
        "ts": "2026-11-23T09:30:00.125Z",
        "ts_src": "ntp",
        "body": BODIES[tail],
    }
    return Envelope(**(values | changes))


def topic(tail: Tail) -> str:
    return address("" if tail in OF_ALL else "kit-a", tail, BODIES[tail])


@pytest.mark.parametrize("tail", list(Tail))
def test_every_message_comes_back_as_it_went(tail: Tail) -> None:
    sent = envelope(tail)
    data = encode(topic(tail), sent)
    assert decode(topic(tail), data) == sent
    assert set(json.loads(data)) == {"v", "id", "kit", "ses", "seq", "ts", "ts_src", "body"}
    body = encode_body(tail, BODIES[tail])
    assert decode_body(tail, body) == BODIES[tail]
    assert json.loads(body)["kind"] == json.loads(data)["body"]["kind"]


def test_the_bytes_are_those_of_the_protocol() -> None:
    data = encode(topic(Tail.VISIT), envelope(Tail.VISIT))
    assert data == (
        b'{"v":1,"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","kit":"kit-a","ses":1,"seq":2,'
        b'"ts":"2026-11-23T09:30:00.125Z","ts_src":"ntp","body":{"kind":"visit",'
        b'"visit_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","state":"abandoned","reason":"not-home","epoch":1}}'
    )


def changed(tail: Tail, path: str, value: Any) -> bytes:
    whole = json.loads(encode(topic(tail), envelope(tail)))
    at = whole
    *way, last = path.split(".")
    for step in way:
        at = at[int(step) if step.isdigit() else step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    ("tail", "path", "value"),
    [
        (Tail.VISIT, "v", 2),
        (Tail.VISIT, "v", True),
        (Tail.VISIT, "v", ...),
        (Tail.VISIT, "id", ...),
        (Tail.VISIT, "id", ULID.lower()),
        (Tail.VISIT, "id", ULID + "\n"),
        (Tail.VISIT, "id", "../../../../../../etc/pass"),
        (Tail.VISIT, "kit", "kit-a\n"),
        (Tail.VISIT, "ses", -1),
        (Tail.VISIT, "ses", 1.5),
        (Tail.VISIT, "ses", "1"),
        (Tail.VISIT, "ses", 2**53),
        (Tail.VISIT, "seq", None),
        (Tail.VISIT, "ts", "2026-11-23T09:30:00"),
        (Tail.VISIT, "ts", "2026-11-23T09:30:00+01:00"),
        (Tail.VISIT, "ts", "2026-11-23T09:30:00.1Z"),
        (Tail.VISIT, "ts", "2026-02-30T09:30:00Z"),
        (Tail.VISIT, "ts", 1763890200),
        (Tail.VISIT, "ts_src", "gps"),
        (Tail.VISIT, "name", "Peeters"),
        (Tail.VISIT, "body", None),
        (Tail.VISIT, "body", []),
        (Tail.VISIT, "body.kind", "other"),
        (Tail.JOB, "body.job", "01ARZ3NDEKTSV4RRFFQ69G5FAW"),
        (Tail.JOB, "body.state", "begun"),
        (Tail.JOB, "body.code", "no reason"),
        (Tail.REPORTED, "body.results.0.key", "citizen"),
        (Tail.REPORTED, "body.version", -1),
        (Tail.ASK_JOBS, "body.corr", "x"),
        (Tail.ASK_JOBS, "body.name", "Peeters"),
        (Tail.ANSWER_JOBS, "body.commands", ["not a jws"]),
        (Tail.ANSWER_TIME, "body.now", "2026-02-30T09:30:00Z"),
        (Tail.NOTICE, "body.outage.ends", "2026-11-23T21:00:00Z"),
        (Tail.NOTICE, "body.minimum_version", "all"),
        (Tail.VISIT, "body.kind", ...),
        (Tail.VISIT, "body.name", "Peeters"),
        (Tail.VISIT, "body.state", "Peeters"),
        (Tail.VISIT, "body.reason", "mevrouw was niet thuis"),
        (Tail.VISIT, "body.visit_id", ""),
        (Tail.APPLICATION, "body.manifest_sha256", "0" * 63 + "G"),
        (Tail.APPLICATION, "body.manifest_sha256", "A" * 64),
        (Tail.HEALTH, "body.battery", 101),
        (Tail.HEALTH, "body.battery", "80"),
        (Tail.HEALTH, "body.temperature_c", 1000),
        (Tail.HEALTH, "body.peripherals", {"Jan Peeters": "ok"}),
        (Tail.HEALTH, "body.peripherals", {"card": "Peeters"}),
        (Tail.HEALTH, "body.peripherals", {f"p{i}": "ok" for i in range(17)}),
        (Tail.HEALTH, "body.in_visit", 1),
        (Tail.BIRTH, "body.started", "2026-13-01T00:00:00Z"),
        (Tail.BIRTH, "body.certificate_until", "2026-02-30T00:00:00Z"),
        (Tail.BIRTH, "body.version", "latest"),
        (Tail.BIRTH, "body.packet", 2),
        (Tail.BIRTH, "body.peripherals", [{"name": "card", "owner": "Peeters"}]),
        (Tail.BIRTH, "body.peripherals", [{"name": "card", "model": "x" * 41}]),
        (Tail.BIRTH, "body.peripherals", [{"name": "card", "serial": "Élise"}]),
        (Tail.BIRTH, "body.peripherals", [{"name": "card"}] * 17),
        (Tail.BATCH, "body.reports", []),
        (Tail.BATCH, "body.reports.1.id", "01ARZ3NDEKTSV4RRFFQ69G5FB2"),
        (Tail.BATCH, "body.reports.1.seq", ...),
        (Tail.BATCH, "body.reports.2.ts", "2026-02-30T09:30:00Z"),
        (Tail.BATCH, "body.reports.2.ts_src", "gps"),
        (Tail.BATCH, "body.reports.0.kit", "kit-b"),
        (Tail.BATCH, "body.reports.0.body.battery", 101),
        (Tail.BATCH, "body.reports.0.body", {"kind": "presence", "s": "online"}),
        (Tail.BATCH, "body.reports.0.body", {"kind": "batch", "reports": []}),
        (Tail.BATCH, "body.more", True),
        (Tail.RECEIPTS, "body.ids", []),
        (Tail.RECEIPTS, "body.ids", ["x"]),
        (Tail.RECEIPTS, "body.ids", [ULID] * 501),
        (Tail.PRESENCE, "body.s", "away"),
        (Tail.DOORBELL, "body.job", "wipe"),
        (Tail.FLEET, "kit", "kit-a"),
    ],
)
def test_what_breaks_a_rule_is_refused(tail: Tail, path: str, value: Any) -> None:
    with pytest.raises(BadMessage) as refused:
        decode(topic(tail), changed(tail, path, value))
    assert refused.value.code in ("malformed", "wrong-topic")
    assert "Peeters" not in str(refused.value)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"null", b"[]", b"{}", b"{", b'"text"', b"[" * 30_000, b'{"v":1}x', b"\x00" * 100],
    ids=["empty", "not-utf8", "null", "list", "object", "open", "text", "deep", "rest", "zeros"],
)
def test_what_is_not_even_json_of_ours_is_malformed(data: bytes) -> None:
    with pytest.raises(BadMessage) as refused:
        decode(topic(Tail.VISIT), data)
    assert refused.value.code == "malformed"


@given(st.binary(max_size=200))
def test_noise_is_refused_and_never_anything_else(data: bytes) -> None:
    for read in (lambda: decode(topic(Tail.HEALTH), data), lambda: decode_body(Tail.HEALTH, data)):
        with pytest.raises(BadMessage):
            read()


def test_size_is_bounded_both_ways() -> None:
    data = encode(topic(Tail.VISIT), envelope(Tail.VISIT))
    assert decode(topic(Tail.VISIT), data + b" " * (MAX_BYTES - len(data)))
    with pytest.raises(BadMessage) as refused:
        decode(topic(Tail.VISIT), data + b" " * (MAX_BYTES - len(data) + 1))
    assert refused.value.code == "too-big"
    with pytest.raises(BadMessage):
        decode_body(Tail.VISIT, b" " * MAX_BYTES)
    most = encode(topic(Tail.RECEIPTS), envelope(Tail.RECEIPTS, body=Receipts((ULID,) * 500)))
    assert len(most) < MAX_BYTES


@pytest.mark.parametrize("tail", list(Tail))
@pytest.mark.parametrize("other", list(Tail))
def test_a_message_fits_its_own_topic_and_no_other(tail: Tail, other: Tail) -> None:
    data = encode(topic(tail), envelope(tail))
    if tail is other:
        return
    with pytest.raises(BadMessage) as refused:
        decode(topic(other), data)
    assert refused.value.code == "wrong-topic"
    with pytest.raises(BadMessage):
        decode_body(other, encode_body(tail, BODIES[tail]))


def test_one_kit_cannot_speak_on_the_topic_of_another() -> None:
    data = encode(topic(Tail.VISIT), envelope(Tail.VISIT))
    with pytest.raises(BadMessage) as refused:
        decode(topic_of("kit-b", Tail.VISIT), data)
    assert refused.value.code == "wrong-topic"
    with pytest.raises(BadMessage) as refused:
        decode("tl/v1/kit/+/up/evt/visit", data)
    assert refused.value.code == "wrong-topic"


def test_what_would_not_be_taken_is_not_sent() -> None:
    with pytest.raises(BadMessage):
        encode(topic(Tail.VISIT), envelope(Tail.VISIT, id="1"))
    with pytest.raises(BadMessage):
        encode_body(Tail.VISIT, VisitEvent(ULID, "opened", "mevrouw X"))  # type: ignore[arg-type]


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))])))
def test_an_instant_is_utc_in_milliseconds_and_comes_back(at: datetime) -> None:
    try:
        text = instant(at)
    except OverflowError:  # the first and last hours of the calendar have no UTC
        return
    assert re.fullmatch(r"[0-9]{4}(-[0-9]{2}){2}T[0-9:]{8}(\.[0-9]{3})?Z", text)
    assert timedelta(0) <= at - moment(text) < timedelta(milliseconds=1)


def test_an_instant_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="zone"):
        instant(datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("text", ["", "2026-11-23", "2026-11-23T24:00:00Z", "2026-11-23T09:30:60Z", "x"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(BadMessage):
        moment(text)


@given(st.text(max_size=80))
def test_whatever_a_device_calls_itself_becomes_a_label(text: str) -> None:
    made = label(text)
    peripheral = msgspec.json.encode(Peripheral("card", made))
    assert msgspec.json.decode(peripheral, type=Peripheral).model == made


def test_a_label_stays_readable() -> None:
    assert label("ACS ACR38U-CCID 00 00") == "ACS ACR38U-CCID 00 00"
    assert label("  Virtual PCD (00)\x00") == "Virtual PCD -00"
    assert label("é") == ""


def test_no_field_of_any_message_may_carry_free_text() -> None:
    """Every text is an id, digest, instant, one of a list or a short label: bound by a pattern or a list."""
    for body in (*BODY_OF.values(), Envelope, Peripheral):
        for name, kind in typing.get_type_hints(body, include_extras=True).items():
            _check_bound(f"{body.__name__}.{name}", kind)


def _check_bound(place: str, kind: Any) -> None:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is str or kind is Any or kind is bytes:
        pytest.fail(f"{place} is free text")
    if origin is Annotated:
        if arguments[0] is str:
            (bound,) = (extra for extra in arguments[1:] if isinstance(extra, msgspec.Meta))
            assert bound.pattern is not None, place
            assert bound.pattern.endswith(r"\Z"), f"{place}: $ would let a line feed through"
            assert not re.search(bound.pattern, "mevrouw Peeters, Markt 1, 8000 Brugge"), place
            assert not re.search(bound.pattern, "x" * 100), place
        else:
            _check_bound(place, arguments[0])
    elif origin in (typing.Union, types.UnionType, tuple, dict, list):
        for argument in arguments:
            if argument is not Ellipsis:
                _check_bound(place, argument)
    elif origin is Literal:
        assert all(isinstance(value, (str, int)) for value in arguments), place
    elif kind not in (int, bool, type(None), msgspec.UnsetType):
        assert issubclass(kind, msgspec.Struct), f"{place}: {kind}"
        for name, inner in typing.get_type_hints(kind, include_extras=True).items():
            _check_bound(f"{place}.{name}", inner)


def test_every_topic_has_its_body_and_every_body_its_topic() -> None:
    assert set(BODY_OF) == set(Tail)
    assert set(BODY_OF.values()) == set(typing.get_args(messages.Body))
    assert len(set(BODY_OF.values())) == len(BODY_OF)


def test_the_literal_messages_are_read_and_written_to_the_byte() -> None:
    vectors = json.loads((Path(__file__).parents[1] / "vectors" / "mqtt" / "messages.json").read_text())
    assert {parse(one["topic"])[1] for one in vectors} == set(Tail)
    for one in vectors:
        assert encode(one["topic"], decode(one["topic"], one["payload"].encode())) == one["payload"].encode()
