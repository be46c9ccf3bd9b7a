"""What a kit should be and what it says it is, jobs step by step, and questions with their answers."""

from typing import Annotated, Literal

from msgspec import Meta

from protocol.messages.fields import Count, Instant, Jws, Said, Strict, Ulid, Version
from protocol.word import Refusal

Setting = Literal["language", "health-every-s", "idle-lock-s", "upload-piece-bytes", "log-level"]
"""What can be wished of a kit from afar; everything else is in its own configuration. A wish that a kit does
not know by name is the one that its report leaves out."""

JobState = Literal[
    "accepted",
    "running",
    "downloading",
    "installed",
    "confirmed",
    "done",
    "failed",
    "rolled-back",
    "refused",
]
JobCode = Literal["", Refusal, "in-visit", "nothing-to-do", "not-possible", "timed-out", "self-test"]
"""Why a job was refused or failed."""


WishRefusal = Literal["", "signature", "malformed", "other-kit", "expired", "replayed"]
"""Why a kit did not take a newer wish."""


class SettingResult(Strict, frozen=True):
    """How one wish of the desired document ended."""

    key: Setting
    state: Literal["applied", "refused", "pending"]
    code: Literal["", "unknown", "out-of-range", "after-visit", "failed"] = ""


class Reported(Said, frozen=True, kw_only=True, tag="reported"):
    """What the kit made of the newest desired document it could verify. `version` 0: none yet."""

    version: Count
    refused: WishRefusal = ""
    results: Annotated[tuple[SettingResult, ...], Meta(max_length=16)] = ()


class Desired(Said, frozen=True, tag="desired"):
    """Retained: the newest signed wish (`protocol.desired`); the broker can delay it, not change it."""

    document: Jws


class JobEvent(Said, frozen=True, tag="job"):
    """One step of a job; the job is the one of the topic."""

    job: Ulid
    state: JobState
    code: JobCode = ""


class AskJobs(Said, frozen=True, tag="ask-jobs"):
    """Which commands wait for this kit? The answer comes on `down/res/...` with `corr`, which the kit
    chose.
    """

    corr: Ulid


class AskTwin(Said, frozen=True, tag="ask-twin"):
    """What is this kit wished to be?"""

    corr: Ulid


class AskTime(Said, frozen=True, tag="ask-time"):
    """What time is it at the fleet?"""

    corr: Ulid


class JobsAnswer(Said, frozen=True, tag="jobs"):
    """The commands that wait for this kit, oldest first (`protocol.command`); `more`: ask again after
    these.
    """

    corr: Ulid
    commands: Annotated[tuple[Jws, ...], Meta(max_length=16)]
    more: bool = False


class TwinAnswer(Said, frozen=True, tag="twin"):
    """The newest desired document, none where nothing was ever wished."""

    corr: Ulid
    document: Jws | None


class TimeAnswer(Said, frozen=True, tag="time"):
    """The fleet's clock when it answered: a hint for a kit whose own clock cannot be right."""

    corr: Ulid
    now: Instant


class Outage(Strict, frozen=True):
    """When the fleet means to be away."""

    begins: Instant
    ends: Instant


class Notice(Said, frozen=True, kw_only=True, tag="notice"):
    """To all kits: the newest revocation list, the oldest version that is still served, a planned outage."""

    crl_number: Count
    minimum_version: Version
    outage: Outage | None = None
