"""Parts of an application that are taken anew, because the competent service could not use them.

The service asks in its signed answer (docs/protocol.md 4), the day bag carries the question (5), and what the
kit then seals is a *supplement*: a packet of its own that names the application it belongs to (3). Pure.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from protocol.ids import is_ulid
from protocol.instant import PATTERN as INSTANT

Part = Literal["photo", "fingers", "signature"]
PARTS: tuple[Part, ...] = get_args(Part)  # in the order in which they are asked, and in which they are taken

AskedParts = Annotated[tuple[Part, ...], Meta(min_length=1, max_length=len(PARTS))]

_PART_OF: dict[str, Part] = {"photo": "photo", "finger": "fingers", "signature": "signature"}


class Supplements(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of a manifest: which application the packet supplements, and which of its parts it brings anew."""

    packet_id: str
    parts: AskedParts


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of a visit in the day bag: what is taken anew for which application, why (a code of the service), and
    the instant before which it must be sealed."""

    packet_id: str
    parts: AskedParts
    code: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}\Z")]
    until: Annotated[str, Meta(pattern=INSTANT)]


def in_order(parts: Sequence[Part]) -> bool:
    """Whether none is named twice and all stand in the one order they have."""
    return [part for part in PARTS if part in parts] == list(parts)


def is_lawful(about: Supplements | Asked) -> bool:
    """What the types above do not say."""
    return is_ulid(about.packet_id) and in_order(about.parts)


def fits(names: Iterable[str], parts: Sequence[Part]) -> bool:
    """Whether files of these names can be what a supplement with these parts brings: no capture that was not
    asked for, and a photo where one was (hands and signature have lawful exceptions)."""
    given = {_PART_OF[word] for name in names if (word := _first_word(name)) in _PART_OF}
    return given <= set(parts) and ("photo" in given) == ("photo" in parts)


def _first_word(name: str) -> str:
    return name.partition(".")[0].partition("-")[0]
