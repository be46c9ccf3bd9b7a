"""Several reports of a kit in one message: what waited while there was no network, or came at one moment.

Over a mobile link a message costs more by what is around it (IP, TCP, TLS, MQTT and their acknowledgements)
than by what it says. Each report keeps what it would have alone: id, number, time, body.
"""

from typing import Annotated

from msgspec import Meta

from protocol.messages.events import AccessEvent, ApplicationEvent, DeletionEvent, VisitEvent
from protocol.messages.fields import BadMessage, Count, Instant, Said, Strict, TimeSource, Ulid, moment
from protocol.messages.states import Health
from protocol.messages.twin import JobEvent

MOST = 64
"""Reports in a batch."""

Reportable = Health | VisitEvent | ApplicationEvent | DeletionEvent | AccessEvent | JobEvent


class Item(Strict, frozen=True):
    """One report; the members mean what they mean in an envelope."""

    id: Ulid
    seq: Count
    ts: Instant
    ts_src: TimeSource
    body: Reportable


class Batch(Said, frozen=True, tag="batch"):
    """In the order in which they came about."""

    reports: Annotated[tuple[Item, ...], Meta(min_length=1, max_length=MOST)]


def check(batch: Batch) -> None:
    """BadMessage when a time is none, or when two reports have one id: the batch is refused as a whole."""
    for item in batch.reports:
        moment(item.ts)
    if len({item.id for item in batch.reports}) < len(batch.reports):
        raise BadMessage("malformed", "$.body.reports")
