"""Facts of a visit (past tense) and wishes about it (imperative). Neither ever holds a biometric or a name.

Events are what the journal stores; they name vault records by id and digest. Wishes are what the desk is asked.
"""

from typing import Literal

import msgspec

from device.ports import Finger, Hand

Step = Literal["card", "inform", "procedure", "photo", "fingers", "signature", "review", "seal"]
STEPS: tuple[Step, ...] = ("card", "inform", "procedure", "photo", "fingers", "signature", "review", "seal")

FingerReason = Literal["missing", "injured", "tremor", "worn", "bandage", "paralysed"]
Lasting = Literal["temporary", "permanent"]


class Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    pass


class Opened(Fact):
    visit_id: str
    service_id: str
    catalogue: str  # sha256 of the catalogue entry, hex
    officer_id: str
    tenant: str


class CardKept(Fact):
    record: str
    digest: str
    verdict: Literal["verified", "weak"]
    flags: tuple[str, ...]
    genuine: Literal["proven", "unproven"]
    test_trust: bool


class CardWaived(Fact):
    """Lawful exception: loss or theft, other proof of identity and annex 12 (valid one month) seen."""

    reason: Literal["loss", "theft", "unreadable"]
    document: Literal["annex12", "police-attest"]


class Informed(Fact):
    notice: str
    language: str
    aloud: bool


class ProcedureChosen(Fact):
    procedure: Literal["normal", "urgent", "urgent-central"]


class PhotoKept(Fact):
    record: str
    digest: str


class FingerKept(Fact):
    hand: Hand
    finger: Finger
    record: str
    digest: str


class FingersExcepted(Fact):
    """These fingers of this hand cannot be taken; the municipality decides, medical attest in doubt."""

    hand: Hand
    fingers: tuple[Finger, ...]
    reason: FingerReason
    lasting: Lasting
    attest_seen: bool


class SignatureKept(Fact):
    record: str
    digest: str


class SignatureExcepted(Fact):
    reason: Literal["cannot", "refuses"]


class Reviewed(Fact):
    language: str


class Redone(Fact):
    """A step was taken back; what it kept is dropped from the vault in the same transaction."""

    step: Step


class Sealed(Fact):
    packet_id: str
    manifest_sha256: str
    size: int


class Uploaded(Fact):
    packet_id: str


class Answered(Fact):
    packet_id: str
    verdict: Literal["accepted", "rejected"]
    code: str


class Abandoned(Fact):
    reason: Literal["not-home", "unwell", "refused", "cannot", "mistake"]


Event = (
    Opened
    | CardKept
    | CardWaived
    | Informed
    | ProcedureChosen
    | PhotoKept
    | FingerKept
    | FingersExcepted
    | SignatureKept
    | SignatureExcepted
    | Reviewed
    | Redone
    | Sealed
    | Uploaded
    | Answered
    | Abandoned
)


# --- wishes: imperative; those that carry a result name the vault record it will be stored under -------------------


class Wish(msgspec.Struct, frozen=True):
    pass


class KeepCard(Wish):
    record: str
    digest: str
    verdict: str
    flags: tuple[str, ...]
    genuine: str
    test_trust: bool
    expected_number: bool  # the card's national number is the one of the visit (or the visit names none)


class WaiveCard(Wish):
    reason: str
    document: str


class Inform(Wish):
    notice: str
    language: str
    aloud: bool


class ChooseProcedure(Wish):
    procedure: str


class KeepPhoto(Wish):
    record: str
    digest: str


class KeepFinger(Wish):
    hand: Hand
    finger: Finger
    record: str
    digest: str


class ExceptFingers(Wish):
    hand: Hand
    fingers: tuple[Finger, ...]
    reason: str
    lasting: str
    attest_seen: bool


class KeepSignature(Wish):
    record: str
    digest: str


class ExceptSignature(Wish):
    reason: str


class Review(Wish):
    language: str


class Redo(Wish):
    step: Step


class Seal(Wish):
    packet_id: str
    manifest_sha256: str
    size: int


class NoteUploaded(Wish):
    packet_id: str


class NoteAnswer(Wish):
    packet_id: str
    verdict: str
    code: str


class Abandon(Wish):
    reason: str
