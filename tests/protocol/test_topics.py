"""Topics are built and parsed to the letter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.topics import (
    ASKED,
    EVENTS,
    FLEET_LISTENS,
    OF_ALL,
    STATES,
    BadTopic,
    Tail,
    job_of,
    kit_listens,
    parse,
    topic_of,
)

JOB = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
KIT_TAILS = [tail for tail in Tail if tail not in OF_ALL and tail is not Tail.JOB]


@pytest.mark.parametrize(
    ("tail", "topic"),
    [
        (Tail.PRESENCE, "tl/v1/kit/kit-brugge-01/state/presence"),
        (Tail.BIRTH, "tl/v1/kit/kit-brugge-01/state/birth"),
        (Tail.HEALTH, "tl/v1/kit/kit-brugge-01/state/health"),
        (Tail.VISIT, "tl/v1/kit/kit-brugge-01/up/evt/visit"),
        (Tail.APPLICATION, "tl/v1/kit/kit-brugge-01/up/evt/application"),
        (Tail.RECEIPTS, "tl/v1/kit/kit-brugge-01/down/rcpt"),
        (Tail.DOORBELL, "tl/v1/kit/kit-brugge-01/down/job"),
    ],
)
def test_the_topics_are_those_of_the_protocol(tail: Tail, topic: str) -> None:
    assert topic_of("kit-brugge-01", tail) == topic
    assert parse(topic) == ("kit-brugge-01", tail)


def test_a_job_is_named_by_its_topic() -> None:
    topic = topic_of("kit-a", Tail.JOB, JOB)
    assert topic == f"tl/v1/kit/kit-a/up/job/{JOB}"
    assert (parse(topic), job_of(topic)) == (("kit-a", Tail.JOB), JOB)
    assert job_of("tl/v1/kit/kit-a/down/job") == ""
    for tail, job in ((Tail.JOB, ""), (Tail.JOB, "#"), (Tail.BIRTH, JOB)):
        with pytest.raises(BadTopic):
            topic_of("kit-a", tail, job)
    with pytest.raises(BadTopic):
        topic_of("", Tail.NOTICE, JOB)


def test_the_state_of_the_fleet_belongs_to_no_kit() -> None:
    assert topic_of("", Tail.FLEET) == "tl/v1/fleet/state"
    assert parse("tl/v1/fleet/state") == ("", Tail.FLEET)
    with pytest.raises(BadTopic):
        topic_of("kit-a", Tail.FLEET)
    with pytest.raises(BadTopic):
        topic_of("", Tail.PRESENCE)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "tl/v1/kit",
        "tl/v1/kit/",
        "tl/v1/kit/kit-a",
        "tl/v1/kit/kit-a/",
        "tl/v1/kit/kit-a/state",
        "tl/v1/kit/kit-a/state/presence/",
        "tl/v1/kit/kit-a/state/presence\n",
        "tl/v1/kit/kit-a//state/presence",
        "tl/v1/kit/kit-a/fleet/state",
        "tl/v1/kit/kit-A/state/presence",
        "tl/v1/kit/+/state/presence",
        "tl/v1/kit/#",
        "tl/v1/kit/kit-/state/presence",
        "tl/v1/kit/kit-" + "a" * 29 + "/state/presence",
        "tl/v2/kit/kit-a/state/presence",
        "xtl/v1/kit/kit-a/state/presence",
        "kit-a/state/presence",
        "tl/v1/fleet/state/",
        "$share/ingest/tl/v1/kit/kit-a/state/presence",
        "tl/v1/kit/kit-a/up/job",
        "tl/v1/kit/kit-a/up/job/",
        "tl/v1/kit/kit-a/up/job/1",
        f"tl/v1/kit/kit-a/up/job/{JOB}/",
        f"tl/v1/kit/kit-a/up/job/{JOB}\n",
        f"tl/v1/kit/kit-a/down/job/{JOB}",
        "tl/v1/kit/kit-a/all/down/notice",
        "tl/v1/all/down",
    ],
)
def test_anything_else_is_no_topic(topic: str) -> None:
    with pytest.raises(BadTopic):
        parse(topic)


@given(kit=st.from_regex(r"kit-[a-z0-9-]{1,28}", fullmatch=True), tail=st.sampled_from(KIT_TAILS))
def test_what_is_built_is_parsed(kit: str, tail: Tail) -> None:
    assert parse(topic_of(kit, tail)) == (kit, tail)


@given(topic=st.text(max_size=60) | st.from_regex(r"tl/v1/kit/[a-z0-9/+#-]{0,40}"))
def test_what_is_parsed_is_what_would_be_built(topic: str) -> None:
    try:
        kit, tail = parse(topic)
    except BadTopic:
        return
    assert topic_of(kit, tail, job_of(topic)) == topic


@given(kit=st.text(max_size=40))
def test_a_kit_id_is_a_kit_id(kit: str) -> None:
    try:
        topic = topic_of(kit, Tail.PRESENCE)
    except BadTopic:
        return
    assert kit.startswith("kit-")
    assert topic.count("/") == 5


def test_kit_and_fleet_listen_to_all_that_concerns_them_and_share_no_subscription() -> None:
    assert set(kit_listens("kit-a")) == {
        *(f"tl/v1/kit/kit-a/down/{level}" for level in ("rcpt", "job", "desired")),
        *(f"tl/v1/kit/kit-a/down/res/{what}" for what in ("jobs", "twin", "time")),
        "tl/v1/kit/kit-a/down/ferry",
        "tl/v1/fleet/state",
        "tl/v1/all/down/notice",
    }
    for tail in STATES | EVENTS | ASKED:
        levels = topic_of("kit-a", tail, JOB if tail is Tail.JOB else "").split("/")
        assert any(_matches(pattern.split("/"), levels) for pattern in FLEET_LISTENS)
    assert not any(pattern.startswith("$share") for pattern in FLEET_LISTENS)
    assert STATES.isdisjoint(EVENTS)


def _matches(pattern: list[str], levels: list[str]) -> bool:
    return len(pattern) == len(levels) and all(
        p in ("+", level) for p, level in zip(pattern, levels, strict=True)
    )
