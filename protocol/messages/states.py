"""What a kit shows of itself: retained, the newest counts."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from protocol.messages.fields import Count, Instant, Label, PeripheralState, Said, Slug, Strict, Ulid, Version

MOST_UNREAD = 20


class Presence(Said, frozen=True, tag="presence"):
    """`lost` is the will; a kit that is switched off on purpose says `off` first."""

    s: Literal["online", "sleep", "off", "lost"]


class Peripheral(Strict, frozen=True):
    name: Slug
    model: Label = ""
    serial: Label = ""
    firmware: Label = ""


class Birth(Said, frozen=True, kw_only=True, tag="birth"):
    """`packet`: the version of sealed applications that the kit writes. `bag`: what it reads of a visit in
    the day bag (protocol.bag.READS)."""

    version: Version
    started: Instant
    peripherals: Annotated[tuple[Peripheral, ...], Meta(max_length=16)]
    certificate_until: Instant
    packet: Literal[1] = 1
    bag: Annotated[int, Meta(ge=1, le=1000)] = 1
    protection: Literal["hardware", "reduced"]
    test_trust: bool


class Health(Said, frozen=True, tag="health"):
    """`battery` in percent; `None` where the kit cannot measure it. `drafts`: visits begun and not finished,
    by the kit's own reckoning of their age. `unread`: visits that it cannot read;
    absent when there is none."""

    battery: Annotated[int, Meta(ge=0, le=100)] | None
    mains: bool | None
    temperature_c: Annotated[int, Meta(ge=-60, le=150)] | None
    disk_free_mb: Count
    peripherals: Annotated[dict[Slug, PeripheralState], Meta(max_length=16)]
    sealed_waiting: Count
    oldest_waiting_s: Count
    reports_waiting: Count
    in_visit: bool
    uptime_s: Count
    drafts: Count = 0
    oldest_draft_s: Count = 0
    unread: Annotated[tuple[Ulid, ...], Meta(min_length=1, max_length=MOST_UNREAD)] | msgspec.UnsetType = (
        msgspec.UNSET
    )
