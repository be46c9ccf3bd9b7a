"""What the fleet says to a kit, and of itself."""

from typing import Annotated, Literal

from msgspec import Meta

from protocol.messages.fields import Said, Ulid


class Receipts(Said, frozen=True, tag="receipts"):
    """Committed by the fleet: these messages, and only these, may leave the kit's outbox."""

    ids: Annotated[tuple[Ulid, ...], Meta(min_length=1, max_length=500)]


class Doorbell(Said, frozen=True, tag="doorbell"):
    """Something waits for the kit; it comes and gets it (a broker's queue drops and reorders)."""

    job: Literal["inbox", "jobs"]


class FleetState(Said, frozen=True, tag="fleet"):
    s: Literal["online", "lost"]
