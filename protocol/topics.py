"""MQTT topics of kit and fleet (docs/protocol.md 7): built and parsed here and nowhere else.

The kit in a topic is the CN of its certificate, its user name and its client id. A topic names no tenant.
"""

from enum import StrEnum

from protocol.identity import KIT_ID

_KIT = "tl/v1/kit/"
_FLEET_STATE = "tl/v1/fleet/state"


class Tail(StrEnum):
    """What a topic is about: the levels after the kit, or after `tl/v1/` for the fleet itself."""

    PRESENCE = "state/presence"
    BIRTH = "state/birth"
    HEALTH = "state/health"
    VISIT = "up/evt/visit"
    APPLICATION = "up/evt/application"
    DELETION = "up/evt/deletion"
    ACCESS = "up/evt/access"
    RECEIPTS = "down/rcpt"
    DOORBELL = "down/job"
    FLEET = "fleet/state"


STATES = frozenset({Tail.PRESENCE, Tail.BIRTH, Tail.HEALTH})  # retained: the newest counts
EVENTS = frozenset({Tail.VISIT, Tail.APPLICATION, Tail.DELETION, Tail.ACCESS})
"""Outboxed: each counts, until a receipt names it."""

# What an ingest worker subscribes to. Plain, never `$share`: with an acl_file SUBSCRIBE is not checked, so
# any kit could join the group and swallow its part. Each worker sees all; unique (kit, id) removes doubles.
FLEET_LISTENS = (_KIT + "+/state/+", _KIT + "+/up/evt/+")


class BadTopic(ValueError):
    """Not a topic of this protocol, or a kit id that could not be one."""


def topic_of(kit_id: str, tail: Tail) -> str:
    """The topic for `tail` of `kit_id`; the kit is "" for `Tail.FLEET` and only there. BadTopic otherwise."""
    if tail is Tail.FLEET:
        if kit_id:
            raise BadTopic("the fleet's state belongs to no kit")
        return _FLEET_STATE
    if KIT_ID.fullmatch(kit_id) is None:
        raise BadTopic(f"not a kit id: {kit_id[:40]!r}")
    return f"{_KIT}{kit_id}/{tail}"


def parse(topic: str) -> tuple[str, Tail]:
    """Kit id ("" for the fleet's own) and tail. BadTopic for anything `topic_of` would not have built."""
    if topic == _FLEET_STATE:
        return "", Tail.FLEET
    kit_id, _, rest = topic.removeprefix(_KIT).partition("/")
    if not topic.startswith(_KIT) or KIT_ID.fullmatch(kit_id) is None or rest == Tail.FLEET:
        raise BadTopic(f"not a topic of ours: {topic[:80]!r}")
    try:
        return kit_id, Tail(rest)
    except ValueError as problem:
        raise BadTopic(f"not a topic of ours: {topic[:80]!r}") from problem


def kit_listens(kit_id: str) -> tuple[str, ...]:
    """What a kit subscribes to, at every connect."""
    return (topic_of(kit_id, Tail.RECEIPTS), topic_of(kit_id, Tail.DOORBELL), _FLEET_STATE)
