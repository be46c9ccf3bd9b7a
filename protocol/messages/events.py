"""What happened on a kit: outboxed, each counts, until a receipt names it."""

from typing import Literal

from protocol.messages.fields import Jws, Said, Sha256, Ulid


class VisitEvent(Said, frozen=True, tag="visit"):
    visit_id: Ulid
    state: Literal["opened", "sealed", "abandoned"]
    reason: Literal["", "not-home", "unwell", "refused", "cannot", "mistake", "expired"] = ""


class ApplicationEvent(Said, frozen=True, tag="application"):
    packet_id: Ulid
    visit_id: Ulid
    state: Literal["sealed", "uploaded", "receipted", "deleted"]
    manifest_sha256: Sha256


class DeletionEvent(Said, frozen=True, tag="deletion"):
    """Something was destroyed on the kit, by its signed word (`protocol.deletion`)."""

    certificate: Jws
