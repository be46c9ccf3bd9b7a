"""What kit and fleet say over MQTT (docs/protocol.md 7): bodies, the envelope around them, strict both ways.

No personal data, ever: a text is an id, a digest, an instant, one of a list, or a short label of a device or
program. A new message: a struct in one of the modules, a tail in `protocol.topics`, and a line
in `Body` and `BODY_OF` of `envelope`.
"""

from protocol.messages.downward import Doorbell, FleetState, Receipts
from protocol.messages.envelope import (
    BODY_OF,
    MAX_BYTES,
    Body,
    Envelope,
    address,
    decode,
    decode_body,
    encode,
    encode_body,
)
from protocol.messages.events import AccessEvent, ApplicationEvent, DeletionEvent, VisitEvent
from protocol.messages.fields import (
    BadMessage,
    Count,
    Instant,
    Jws,
    KitOrFleet,
    Label,
    PeripheralState,
    Sha256,
    Slug,
    TimeSource,
    Ulid,
    Version,
    instant,
    label,
    moment,
)
from protocol.messages.squeeze import squeeze
from protocol.messages.states import Birth, Health, Peripheral, Presence
from protocol.messages.twin import (
    AskJobs,
    AskTime,
    AskTwin,
    Desired,
    JobEvent,
    JobsAnswer,
    Notice,
    Outage,
    Reported,
    SettingResult,
    TimeAnswer,
    TwinAnswer,
)

__all__ = [
    "BODY_OF",
    "MAX_BYTES",
    "AccessEvent",
    "ApplicationEvent",
    "AskJobs",
    "AskTime",
    "AskTwin",
    "BadMessage",
    "Birth",
    "Body",
    "Count",
    "DeletionEvent",
    "Desired",
    "Doorbell",
    "Envelope",
    "FleetState",
    "Health",
    "Instant",
    "JobEvent",
    "JobsAnswer",
    "Jws",
    "KitOrFleet",
    "Label",
    "Notice",
    "Outage",
    "Peripheral",
    "PeripheralState",
    "Presence",
    "Receipts",
    "Reported",
    "SettingResult",
    "Sha256",
    "Slug",
    "TimeAnswer",
    "TimeSource",
    "TwinAnswer",
    "Ulid",
    "Version",
    "VisitEvent",
    "address",
    "decode",
    "decode_body",
    "encode",
    "encode_body",
    "instant",
    "label",
    "moment",
    "squeeze",
]
