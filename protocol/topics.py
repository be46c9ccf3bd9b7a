"""MQTT topics of kit and fleet (docs/protocol.md 7): built and parsed here and nowhere else.

The kit in a topic is the CN of its certificate, its user name and its client id. A topic names no tenant.
"""

import re
from enum import StrEnum
from functools import lru_cache

from protocol.identity import KIT_ID

_KIT = "tl/v1/kit/"


class Tail(StrEnum):
    """What a topic is about: the levels after the kit, or after `tl/v1/` for the fleet itself."""

    PRESENCE = "state/presence"
    BIRTH = "state/birth"
    HEALTH = "state/health"
    VISIT = "up/evt/visit"
    APPLICATION = "up/evt/application"
    DELETION = "up/evt/deletion"
    ACCESS = "up/evt/access"
    BATCH = "up/evt/batch"  # several of the above and of health, in one message
    REPORTED = "state/reported"
    JOB = "up/job"  # a further level: the job
    ASK_JOBS = "up/req/jobs"
    ASK_TWIN = "up/req/twin"
    ASK_TIME = "up/req/time"
    ANSWER_JOBS = "down/res/jobs"
    ANSWER_TWIN = "down/res/twin"
    ANSWER_TIME = "down/res/time"
    DESIRED = "down/desired"
    RECEIPTS = "down/rcpt"
    DOORBELL = "down/job"
    FLEET = "fleet/state"
    NOTICE = "all/down/notice"


STATES = frozenset({Tail.PRESENCE, Tail.BIRTH, Tail.HEALTH, Tail.REPORTED})  # retained: the newest counts
EVENTS = frozenset({Tail.VISIT, Tail.APPLICATION, Tail.DELETION, Tail.ACCESS, Tail.JOB})
"""Outboxed: each counts, until a receipt names it."""

ASKED = frozenset({Tail.ASK_JOBS, Tail.ASK_TWIN, Tail.ASK_TIME})
ANSWERS = frozenset({Tail.ANSWER_JOBS, Tail.ANSWER_TWIN, Tail.ANSWER_TIME})
OF_ALL = frozenset({Tail.FLEET, Tail.NOTICE})
"""Of the fleet itself, to every kit: these topics name none."""

# What an ingest worker subscribes to, plainly or as `$share/ingest/...`, which the broker lets nobody else
# join.
FLEET_LISTENS = tuple(
    _KIT + "+/" + level for level in ("state/+", "up/evt/+", "up/job/+", "up/req/+", "up/ferry/+")
)
_ITEM = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")

_BARE = {str(tail): tail for tail in Tail if tail not in OF_ALL and tail is not Tail.JOB}


class BadTopic(ValueError):
    """Not a topic of this protocol, or a kit id that could not be one."""


def topic_of(kit_id: str, tail: Tail, job: str = "") -> str:
    """The topic for `tail` of `kit_id`; the kit is "" for those of all kits, and `job` a ULID for `Tail.JOB`,
    and only there. BadTopic otherwise."""
    if tail in OF_ALL:
        if kit_id or job:
            raise BadTopic("what is said to all names no kit")
        return f"tl/v1/{tail}"
    if KIT_ID.fullmatch(kit_id) is None:
        raise BadTopic(f"not a kit id: {kit_id[:40]!r}")
    if tail is Tail.JOB:
        if _ITEM.fullmatch(job) is None:
            raise BadTopic(f"not a job: {job[:40]!r}")
        return f"{_KIT}{kit_id}/{tail}/{job}"
    if job:
        raise BadTopic(f"no job belongs on {tail}")
    return f"{_KIT}{kit_id}/{tail}"


@lru_cache(16_384)  # a fleet hears the same few topics of each kit again and again
def parse(topic: str) -> tuple[str, Tail]:
    """Kit id ("" for what is said to all) and tail. BadTopic for anything `topic_of` would not have built."""
    kit_id, _, rest = topic.removeprefix(_KIT).partition("/")
    if topic.startswith(_KIT) and KIT_ID.fullmatch(kit_id) is not None:
        if (tail := _BARE.get(rest)) is not None:
            return kit_id, tail
        if _ITEM.fullmatch(rest.removeprefix(f"{Tail.JOB}/")) and rest.startswith(f"{Tail.JOB}/"):
            return kit_id, Tail.JOB
    elif topic.removeprefix("tl/v1/") in OF_ALL and topic.startswith("tl/v1/"):
        return "", Tail(topic.removeprefix("tl/v1/"))
    raise BadTopic(f"not a topic of ours: {topic[:80]!r}")


def job_of(topic: str) -> str:
    """The job that a topic of `Tail.JOB` names, "" for others."""
    kit_id, tail = parse(topic)
    return topic.removeprefix(f"{_KIT}{kit_id}/{tail}/") if tail is Tail.JOB else ""


def kit_listens(kit_id: str) -> tuple[str, ...]:
    """What a kit subscribes to, at every connect."""
    own = (Tail.RECEIPTS, Tail.DOORBELL, Tail.DESIRED, *sorted(ANSWERS))
    said = (*(topic_of(kit_id, tail) for tail in own), *(topic_of("", tail) for tail in sorted(OF_ALL)))
    return (*said, f"{_KIT}{kit_id}/down/ferry")  # `protocol.ferry`: no messages, so no tails
