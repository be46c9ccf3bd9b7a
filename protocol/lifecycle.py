"""States an application and a visit go through, as kit, fleet and citizen name them."""

from enum import StrEnum


class ApplicationState(StrEnum):
    """Where a sealed application is. Created = the sum of all states, always."""

    SEALED = "sealed"  # on the kit
    UPLOADED = "uploaded"  # committed by the fleet, not yet at the service
    FORWARDED = "forwarded"  # offered to the service, no final answer yet
    ACCEPTED = "accepted"  # signed receipt: accepted
    REJECTED = "rejected"  # signed receipt: rejected, with a code
    RECAPTURE = "recapture"  # signed answer: one part must be taken anew
    EXPIRED = "expired"  # destroyed because 90 days were over, before anybody had answered
    STUCK = "stuck"  # forwarding gave up for now; a person decides


class VisitState(StrEnum):
    """Where a visit is, from request to close."""

    REQUESTED = "requested"
    PLANNED = "planned"
    OPENED = "opened"
    SEALED = "sealed"
    ABANDONED = "abandoned"
    CLOSED = "closed"
