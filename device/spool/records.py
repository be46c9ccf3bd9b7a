"""What lies in the spool besides sealed bytes: a report that waits, a packet's mark, what the uplink says."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from protocol.instant import read_instant
from protocol.messages import Count, Instant, TimeSource, Ulid
from protocol.topics import Tail

_Code = Annotated[str, Meta(pattern=r"^[a-z0-9-]{0,64}\Z")]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Report(_Record, frozen=True):
    """An event that waits for the fleet's receipt; `body` is JSON that `messages.decode_body` takes."""

    id: Ulid
    seq: Annotated[int, Meta(ge=1)]
    tail: Tail  # one of protocol.topics.EVENTS
    ts: Instant
    ts_src: TimeSource
    body: msgspec.Raw


class Mark(_Record, frozen=True):
    """How far the uplink is with one packet. A refused packet has the fleet's code and is never deleted;
    `final`: it is not offered again either, unless a person asks for it."""

    state: Literal["sending", "uploaded", "refused"]
    sent: Count
    size: Count
    code: _Code = ""
    final: bool = False


class Tuning(_Record, frozen=True):
    """What the fleet wishes of the uplink, as the agent took it; None leaves it to the configuration."""

    piece_bytes: Annotated[int, Meta(ge=4096, le=131_072)] | None = None
    log_level: Literal["info", "warning", "error"] | None = None


class Whereabouts(_Record, frozen=True):
    """The last hand-over of an application that the fleet knows of (docs/protocol.md 10)."""

    step: Literal["committed", "forwarded", "answered", "deleted"]
    at: Instant

    def __post_init__(self) -> None:
        read_instant(self.at)  # there is no 30th of February


Places = Annotated[dict[Ulid, Whereabouts], Meta(max_length=400)]


class Says(_Record, frozen=True):
    """What the uplink says of itself; `boot_s` is CLOCK_BOOTTIME, which no change of date disturbs."""

    online: bool
    fleet: bool
    problem: _Code
    sending: Annotated[str, Meta(pattern=r"^([0-9A-Z]{26})?\Z")]
    boot_s: float
    outage: tuple[Instant, Instant] | None = None  # from when to when the fleet means to be away

    def __post_init__(self) -> None:
        for at in self.outage or ():
            read_instant(at)


@dataclass(frozen=True)
class Waiting:
    """A sealed packet in the spool. `mark` is None as long as the uplink has not begun."""

    packet_id: str
    size: int
    since: float  # seconds since 1970, of the file
    mark: Mark | None

    @property
    def is_uploaded(self) -> bool:
        """The fleet has said that it holds all of it."""
        return self.mark is not None and self.mark.state == "uploaded"


@dataclass(frozen=True)
class Parcel:
    """A sealed packet that the fleet has not committed, as a screen may tell of it."""

    packet_id: str
    state: Literal["queued", "sending", "refused", "stopped"]  # stopped: refused, and not offered again
    code: str  # the fleet's, when refused or stopped
    age_s: int
    share: float  # 0..1 of its bytes are known to be with the fleet


@dataclass(frozen=True)
class LinkStatus:
    """For the screens and the health report: all that the agent may know of the network."""

    online: bool  # the uplink runs and its MQTT session is up
    fleet: bool  # the fleet has said that it takes messages in
    problem: str  # "" or why not, one of the uplink's codes
    waiting: int  # sealed packets the fleet has not committed yet
    oldest_s: int
    reports_waiting: int
    sending: str  # packet now being sent, or ""
    sending_share: float | None  # 0..1
    parcels: tuple[Parcel, ...] = ()  # what waits, oldest first
    outage: tuple[datetime, datetime] | None = None  # from when to when the fleet means to be away
