"""What happened on a kit: outboxed, each counts, until a receipt names it."""

from typing import Annotated, Literal

from msgspec import Meta

from protocol.messages.fields import Epoch, Jws, Said, Sha256, Ulid


class VisitEvent(Said, frozen=True, tag="visit"):
    visit_id: Ulid
    state: Literal["opened", "sealed", "abandoned"]
    reason: Literal["", "not-home", "unwell", "refused", "cannot", "mistake", "expired"] = ""
    epoch: Epoch = 1


class ApplicationEvent(Said, frozen=True, tag="application"):
    packet_id: Ulid
    visit_id: Ulid
    state: Literal["sealed", "uploaded", "receipted", "deleted"]
    manifest_sha256: Sha256
    epoch: Epoch = 1


class AccessEvent(Said, frozen=True, tag="access"):
    """Something happened to the ways into the kit's store. `officer`: SHA-256 of the officer's id, or ""."""

    what: Literal["pin-changed", "code-used", "officer-added", "officer-removed", "lease-ended"]
    officer: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""


class DeletionEvent(Said, frozen=True, tag="deletion"):
    """Something was destroyed on the kit, by its signed word (`protocol.deletion`)."""

    certificate: Jws
