"""What kit and fleet say over MQTT (docs/protocol.md 7): bodies, the envelope around them, strict both ways.

No personal data, ever: a text is an id, a digest, an instant, one of a list, or a short label of a device or
program. There is no field that a name, an address or a remark would belong in.
"""

import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from protocol.identity import KIT_ID
from protocol.instant import PATTERN, read_instant, write_instant
from protocol.topics import BadTopic, Tail, parse

MAX_BYTES = 32_768

_ULID = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}\Z"
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._/+-]{0,38}[A-Za-z0-9])?")

Ulid = Annotated[str, Meta(pattern=_ULID)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Instant = Annotated[str, Meta(pattern=PATTERN)]
Slug = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,30}\Z")]
Version = Annotated[str, Meta(pattern=r"^[0-9][0-9A-Za-z.+-]{0,31}\Z")]
Label = Annotated[str, Meta(pattern=rf"^({_LABEL.pattern})?\Z")]
"""A maker's name for a device; make one with `label`."""
Jws = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z", max_length=12_000)]
"""A compact JWS, signature and certificates and all."""
KitOrFleet = Annotated[str, Meta(pattern=rf"^({KIT_ID.pattern})?\Z")]
"""The kit of the topic; empty on the topic of the fleet itself."""
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]

PeripheralState = Literal["ok", "degraded", "missing"]
TimeSource = Literal["rtc", "ntp", "none"]


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Body(_Message, frozen=True, tag_field="kind"):
    pass


class Presence(_Body, frozen=True, tag="presence"):
    """`lost` is the will; a kit that is switched off on purpose says `off` first."""

    s: Literal["online", "sleep", "off", "lost"]


class Peripheral(_Message, frozen=True):
    name: Slug
    model: Label = ""
    serial: Label = ""
    firmware: Label = ""


class Birth(_Body, frozen=True, kw_only=True, tag="birth"):
    version: Version
    started: Instant
    peripherals: Annotated[tuple[Peripheral, ...], Meta(max_length=16)]
    certificate_until: Instant
    packet: Literal[1] = 1
    protection: Literal["hardware", "reduced"]
    test_trust: bool


class Health(_Body, frozen=True, tag="health"):
    """`battery` in percent; `None` where the kit cannot measure it."""

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


class VisitEvent(_Body, frozen=True, tag="visit"):
    visit_id: Ulid
    state: Literal["opened", "sealed", "abandoned"]
    reason: Literal["", "not-home", "unwell", "refused", "cannot", "mistake", "expired"] = ""


class ApplicationEvent(_Body, frozen=True, tag="application"):
    packet_id: Ulid
    visit_id: Ulid
    state: Literal["sealed", "uploaded", "receipted", "deleted"]
    manifest_sha256: Sha256


class DeletionEvent(_Body, frozen=True, tag="deletion"):
    """Something was destroyed on the kit, by its signed word (`protocol.deletion`)."""

    certificate: Jws


class Receipts(_Body, frozen=True, tag="receipts"):
    """Committed by the fleet: these messages, and only these, may leave the kit's outbox."""

    ids: Annotated[tuple[Ulid, ...], Meta(min_length=1, max_length=500)]


class Doorbell(_Body, frozen=True, tag="doorbell"):
    """Something waits for the kit; it comes and gets it (a broker's queue drops and reorders)."""

    job: Literal["inbox"]


class FleetState(_Body, frozen=True, tag="fleet"):
    s: Literal["online", "lost"]


Body = (
    Presence
    | Birth
    | Health
    | VisitEvent
    | ApplicationEvent
    | DeletionEvent
    | Receipts
    | Doorbell
    | FleetState
)

BODY_OF: dict[Tail, type[Body]] = {
    Tail.PRESENCE: Presence,
    Tail.BIRTH: Birth,
    Tail.HEALTH: Health,
    Tail.VISIT: VisitEvent,
    Tail.APPLICATION: ApplicationEvent,
    Tail.DELETION: DeletionEvent,
    Tail.RECEIPTS: Receipts,
    Tail.DOORBELL: Doorbell,
    Tail.FLEET: FleetState,
}


class Envelope(_Message, frozen=True, kw_only=True):
    """Around every body.

    `ses` counts the sender's connects. `seq` of an event is its place in the kit's outbox: from 1, without
    gaps, the same at every sending; of anything else it grows within the session. `ts` is when it became
    true.
    """

    v: Literal[1] = 1
    id: Ulid
    kit: KitOrFleet
    ses: Count
    seq: Count
    ts: Instant
    ts_src: TimeSource
    body: Body


class BadMessage(ValueError):
    """What came, or was about to go, is not a message of this protocol."""

    def __init__(self, code: Literal["too-big", "malformed", "wrong-topic"], detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


_body_decoder: msgspec.json.Decoder[Body] = msgspec.json.Decoder(Body)
_envelope_decoder = msgspec.json.Decoder(Envelope)


def encode(topic: str, envelope: Envelope) -> bytes:
    """The bytes to publish on `topic`. BadMessage when they would not be taken by `decode`."""
    data = msgspec.json.encode(envelope)
    decode(topic, data)  # a Struct's constructor checks nothing; what we send is as strict as what we take
    return data


def decode(topic: str, data: bytes) -> Envelope:
    """The envelope published on `topic`. BadMessage unless it is whole, of that kit and of that kind."""
    if len(data) > MAX_BYTES:
        raise BadMessage("too-big", f"{len(data)} bytes")
    try:
        kit_id, tail = parse(topic)
    except BadTopic as problem:
        raise BadMessage("wrong-topic", str(problem)) from problem
    try:
        envelope = _envelope_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadMessage("malformed", _place(problem)) from problem
    moment(envelope.ts)
    if envelope.kit != kit_id:
        raise BadMessage("wrong-topic", "the envelope names another kit than the topic")
    _check_body(tail, envelope.body)
    return envelope


def encode_body(tail: Tail, body: Body) -> bytes:
    """JSON of a body that fits `tail`, for the spool. BadMessage when it does not fit or breaks a bound."""
    data = msgspec.json.encode(body)
    decode_body(tail, data)
    return data


def decode_body(tail: Tail, data: bytes) -> Body:
    """The body in JSON `data`. BadMessage unless it is strict and of the kind that belongs on `tail`."""
    if len(data) > MAX_BYTES - 512:  # room for the envelope around it
        raise BadMessage("too-big", f"{len(data)} bytes")
    try:
        body = _body_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadMessage("malformed", _place(problem)) from problem
    _check_body(tail, body)
    return body


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


def _check_body(tail: Tail, body: Body) -> None:
    if type(body) is not BODY_OF[tail]:
        raise BadMessage("wrong-topic", f"{type(body).__name__} does not belong on {tail}")
    if isinstance(body, Birth):
        moment(body.started)
        moment(body.certificate_until)


def _place(problem: Exception) -> str:
    """Where it went wrong, as a path of our own field names; never what was found there."""
    found = re.search(r"`(\$[a-z0-9_.\[\]]*)`$", str(problem))
    return found[1] if found else ""
