"""Health reports, nearly all that a fleet hears, read at half of what the strict reading costs. Pure.

A pattern costs msgspec a call of Python for every text that it holds for. Here a report is read into the
same members without patterns, and those are then looked at by hand: the kit against the topic's, which was
looked at before, and the names of peripherals, the same few all day, once. What is taken here the strict
reading takes too, and makes the same of it; everything else is left to it, and so is what to say of it.
"""

import re
from functools import lru_cache
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import astuple

from protocol.ids import is_ulid
from protocol.instant import read_instant
from protocol.messages.fields import SLUG, Count, PeripheralState, Said, Strict, TimeSource
from protocol.messages.states import Health


class _Health(Said, frozen=True, tag="health"):
    """The members of `Health`, in its order, but `unread`: a report with one is rare, and left to the strict
    reading."""

    battery: Annotated[int, Meta(ge=0, le=100)] | None
    mains: bool | None
    temperature_c: Annotated[int, Meta(ge=-60, le=150)] | None
    disk_free_mb: Count
    peripherals: Annotated[dict[str, PeripheralState], Meta(max_length=16)]
    sealed_waiting: Count
    oldest_waiting_s: Count
    reports_waiting: Count
    in_visit: bool
    uptime_s: Count
    drafts: Count = 0
    oldest_draft_s: Count = 0


class _Other(Said, frozen=True, tag="other"):
    """Nobody says this: of one kind of body alone msgspec would not ask for its name."""


class Report(Strict, frozen=True):
    """The members of an envelope around a health report."""

    v: Literal[1]
    id: str
    kit: str
    ses: Count
    seq: Count
    ts: str
    ts_src: TimeSource
    body: _Health | _Other


_decoder = msgspec.json.Decoder(Report)


def report(kit_id: str, data: bytes) -> tuple[Report, Health] | None:
    """The report in JSON `data` that came on a topic of `kit_id`; None for whatever the strict reading is to
    judge."""
    try:
        said = _decoder.decode(data)
        read_instant(said.ts)
    except (ValueError, RecursionError):  # msgspec's own are ValueErrors too
        return None
    body = said.body
    if said.kit != kit_id or not is_ulid(said.id) or isinstance(body, _Other):
        return None
    return (said, Health(*astuple(body))) if _are_slugs(tuple(body.peripherals)) else None


@lru_cache(256)
def _are_slugs(names: tuple[str, ...]) -> bool:
    return all(re.search(SLUG, name) for name in names)
