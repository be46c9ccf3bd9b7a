"""What a catalogue entry says of one municipal service: its steps, exceptions and rules. Data, never code."""

import re
from typing import Annotated, Literal

import msgspec

Step = Literal["card", "inform", "possession", "procedure", "photo", "fingers", "signature", "review", "seal"]
Finger = Literal["index", "middle", "ring", "little", "thumb"]
PossessionReason = Literal[
    "no-card", "no-certificate", "certificate-expired", "pin-blocked", "pin-unknown", "refuses"
]
FingerReason = Literal["missing", "injured", "tremor", "worn", "bandage", "paralysed"]
Language = Literal["nl", "fr", "de", "en"]

Words = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Tries = Annotated[int, msgspec.Meta(ge=1, le=10)]
Days = Annotated[int, msgspec.Meta(ge=1, le=366)]
Quarter = Annotated[int, msgspec.Meta(ge=1, le=480)]

_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|")


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the entry; unknown keys are refused."""


class Title(Data, frozen=True):
    """The same words in the languages of the kit."""

    nl: Words
    fr: Words
    de: Words
    en: Words


class Minutes(Data, frozen=True):
    """How long one application takes: the first at a place (set-up included), and each next one there."""

    first: Quarter
    next_same_place: Quarter


class Waiver(Data, frozen=True):
    """No card can be read: why, and which document must have been seen instead."""

    reason: Literal["loss", "theft", "unreadable"]
    documents: tuple[Literal["annex12", "police-attest"], ...]
    max_age_days: Days


class CardRules(Data, frozen=True):
    waivers: tuple[Waiver, ...]


class InformRules(Data, frozen=True):
    """The notice that is explained; taking the application is a legal task, so no consent is asked."""

    notice: Words
    languages: tuple[Language, ...]


class PossessionRules(Data, frozen=True):
    """The holder gives the card's own PIN and the card signs. `exceptions`: why a visit may go on without;
    `expired`: whether a certificate counts whose time is up (the key is there, but nobody vouches for it)."""

    exceptions: tuple[PossessionReason, ...] = ()
    expired: bool = False


class Procedure(Data, frozen=True):
    """How fast the card is made. `before` is the local time (HH:MM) until which it may be asked, or empty."""

    id: Literal["normal", "urgent", "urgent-central"]
    title: Title
    before: str = ""

    def __post_init__(self) -> None:
        if not _TIME.fullmatch(self.before):
            raise ValueError("before is not a time HH:MM")


class PhotoRules(Data, frozen=True):
    profile: Words
    tries: Tries


class FingerException(Data, frozen=True):
    """Which reasons are lawful, and what the card's validity becomes without prints (0 months: as always)."""

    reasons: tuple[FingerReason, ...]
    validity_months: Annotated[int, msgspec.Meta(ge=0, le=360)]
    attest_max_age_days: Days


class FingerRules(Data, frozen=True):
    """One print of each hand, of the first finger of the ladder that can give one (RD 10 December 2019)."""

    ladder: tuple[Finger, ...]
    tries: Tries
    temporary: FingerException
    permanent: FingerException


class SignatureRules(Data, frozen=True):
    exceptions: tuple[Literal["cannot", "refuses"], ...]


class Retention(Data, frozen=True):
    """Why the data is held (a code), and how long biometrics may be kept anywhere (three months)."""

    reason: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9.:/-]{1,80}$")]
    biometric_days_max: Annotated[int, msgspec.Meta(ge=1, le=90)]


class Service(Data, frozen=True):
    """One entry. Every step listed is mandatory: done, or excepted as its rules allow."""

    service: Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2}(\.[a-z0-9-]{1,30}){1,4}$")]
    version: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}$")]
    title: Title
    minutes: Minutes
    steps: tuple[Step, ...]
    card: CardRules
    inform: InformRules
    procedures: tuple[Procedure, ...]
    photo: PhotoRules
    fingers: FingerRules
    signature: SignatureRules
    retention: Retention
    possession: PossessionRules = PossessionRules()

    def __post_init__(self) -> None:
        if len(set(self.steps)) != len(self.steps):
            raise ValueError("a step is listed twice")
        if self.steps[:1] != ("card",) or self.steps[-2:] != ("review", "seal"):
            raise ValueError("steps must begin with card and end with review and seal")
        if "possession" in self.steps:
            self._check_possession()
        if not self.fingers.ladder or len(set(self.fingers.ladder)) != len(self.fingers.ladder):
            raise ValueError("the ladder is empty or names a finger twice")
        ids = [procedure.id for procedure in self.procedures]
        if not ids or len(set(ids)) != len(ids):
            raise ValueError("procedures are missing or named twice")

    def _check_possession(self) -> None:
        if "inform" not in self.steps[: self.steps.index("possession")]:
            raise ValueError("possession comes after inform: nobody gives a PIN before knowing what for")
        if self.card.waivers and "no-card" not in self.possession.exceptions:
            raise ValueError("a visit without a card could not go on: possession.exceptions needs no-card")

    def procedure(self, name: str) -> Procedure | None:
        return next((each for each in self.procedures if each.id == name), None)
