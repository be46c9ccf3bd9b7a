"""What a field of a message may hold: ids, digests, instants, counts, words of a list, labels of devices.

There is no field that a name, an address or a remark would belong in.
"""

import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from protocol.bad import Bad
from protocol.identity import KIT_ID
from protocol.instant import PATTERN, read_instant, write_instant

_ULID = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}\Z"
SLUG = r"^[a-z][a-z0-9-]{0,30}\Z"
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._/+-]{0,38}[A-Za-z0-9])?")

Ulid = Annotated[str, Meta(pattern=_ULID)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Instant = Annotated[str, Meta(pattern=PATTERN)]
Slug = Annotated[str, Meta(pattern=SLUG)]
Version = Annotated[str, Meta(pattern=r"^[0-9][0-9A-Za-z.+-]{0,31}\Z")]
Label = Annotated[str, Meta(pattern=rf"^({_LABEL.pattern})?\Z")]
"""A maker's name for a device; make one with `label`."""
Jws = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z", max_length=12_000)]
"""A compact JWS, signature and certificates and all."""
KitOrFleet = Annotated[str, Meta(pattern=rf"^({KIT_ID.pattern})?\Z")]
"""The kit of the topic; empty on the topic of the fleet itself."""
Epoch = Annotated[int, Meta(ge=1, le=1_000_000)]
"""Which assignment of a visit this is about: from the day bag."""
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]

PeripheralState = Literal["ok", "degraded", "missing"]
TimeSource = Literal["rtc", "ntp", "none"]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Unknown members are refused."""


class Said(Strict, frozen=True, tag_field="kind"):
    """A body: what an envelope carries."""


class BadMessage(Bad):
    """What came, or was about to go, is not a message of this protocol.

    code: too-big, malformed, wrong-topic."""


instant = write_instant


def moment(text: str) -> datetime:
    """The instant in `text`, zone UTC. BadMessage when it is none (the 30th of February, a leap second)."""
    try:
        return read_instant(text)
    except ValueError as problem:
        raise BadMessage("malformed", "not an instant") from problem


def label(text: str) -> str:
    """The nearest `Label` to what a device says of itself: other characters become `-`, 40 at most."""
    plain = re.sub(r"[^A-Za-z0-9 ._/+-]", "-", text)[:40].strip(" ._/+-")
    return plain if _LABEL.fullmatch(plain) else ""
