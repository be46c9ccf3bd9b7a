"""Topics are built and parsed to the letter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.topics import EVENTS, FLEET_LISTENS, STATES, BadTopic, Tail, kit_listens, parse, topic_of

KIT_TAILS = [tail for tail in Tail if tail is not Tail.FLEET]


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
    assert topic_of(kit, tail) == topic


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
        topic_of("kit-a", Tail.RECEIPTS),
        topic_of("kit-a", Tail.DOORBELL),
        "tl/v1/fleet/state",
    }
    for tail in STATES | EVENTS:
        levels = topic_of("kit-a", tail).split("/")
        assert any(_matches(pattern.split("/"), levels) for pattern in FLEET_LISTENS)
    assert not any(pattern.startswith("$share") for pattern in FLEET_LISTENS)
    assert STATES.isdisjoint(EVENTS)


def _matches(pattern: list[str], levels: list[str]) -> bool:
    return len(pattern) == len(levels) and all(
        p in ("+", level) for p, level in zip(pattern, levels, strict=True)
    )
