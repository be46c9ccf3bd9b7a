"""Facts of a visit (past tense) and wishes about it (imperative). Neither ever holds a biometric or a name.

Events are what the journal stores; they name vault records by id and digest. Wishes are what the desk is
asked.
"""

from typing import Literal

import msgspec

from device.ports import Finger, Hand
from protocol.recapture import Part

Step = Literal["card", "inform", "possession", "procedure", "photo", "fingers", "signature", "review", "seal"]

PossessionReason = Literal[
    "no-card", "no-certificate", "certificate-expired", "pin-blocked", "pin-unknown", "refuses"
]
FingerReason = Literal["missing", "injured", "tremor", "worn", "bandage", "paralysed"]
Lasting = Literal["temporary", "permanent"]
Verdict = Literal["accepted", "rejected", "recapture"]


class Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    pass


class Opened(Fact, frozen=True):
    visit_id: str
    service_id: str
    catalogue: str  # sha256 of the catalogue entry, hex
    officer_id: str
    tenant: str
    epoch: int = 1  # of the assignment, from the day bag
    only: tuple[Part, ...] = ()  # parts that are taken anew, and nothing else; all of the entry when empty
    supplements: str = ""  # the packet whose parts they are
    why: str = ""  # the service's code


class CardKept(Fact, frozen=True):
    record: str
    digest: str
    verdict: Literal["verified", "weak"]
    flags: tuple[str, ...]
    genuine: Literal["proven", "unproven"]
    test_trust: bool


class CardWaived(Fact, frozen=True):
    """Lawful exception: loss or theft, other proof of identity and annex 12 (valid one month) seen."""

    reason: Literal["loss", "theft", "unreadable"]
    document: Literal["annex12", "police-attest"]


class Informed(Fact, frozen=True):
    notice: str
    language: str
    aloud: bool


class PossessionProven(Fact, frozen=True):
    """The holder's PIN was right and the card signed for this visit; never the PIN, never the signature."""

    record: str
    digest: str
    certificate_valid: bool
    test_trust: bool


class PossessionExcepted(Fact, frozen=True):
    reason: PossessionReason


class ProcedureChosen(Fact, frozen=True):
    procedure: Literal["normal", "urgent", "urgent-central"]


class PhotoKept(Fact, frozen=True):
    record: str
    digest: str


class FingerKept(Fact, frozen=True):
    hand: Hand
    finger: Finger
    record: str
    digest: str


class FingersExcepted(Fact, frozen=True):
    """These fingers of this hand cannot be taken; the municipality decides, medical attest in doubt."""

    hand: Hand
    fingers: tuple[Finger, ...]
    reason: FingerReason
    lasting: Lasting
    attest_seen: bool


class SignatureKept(Fact, frozen=True):
    record: str
    digest: str


class SignatureExcepted(Fact, frozen=True):
    reason: Literal["cannot", "refuses"]


class Reviewed(Fact, frozen=True):
    language: str


class Redone(Fact, frozen=True):
    """A step was taken back; what it kept is dropped from the vault in the same transaction."""

    step: Step
    hand: Hand | None = None  # of the fingers only this hand, when given


class Sealed(Fact, frozen=True):
    packet_id: str
    manifest_sha256: str
    size: int


class Uploaded(Fact, frozen=True):
    packet_id: str


class Answered(Fact, frozen=True):
    packet_id: str
    verdict: Verdict
    code: str
    parts: tuple[Part, ...] = ()  # asked for anew


class Abandoned(Fact, frozen=True):
    reason: Literal["not-home", "unwell", "refused", "cannot", "mistake"]


class Expired(Fact, frozen=True):
    """The law or the municipality's policy ended it: what the kit still held of this visit is destroyed."""

    why: Literal["draft-limit", "hard-limit"]


Event = (
    Opened
    | CardKept
    | CardWaived
    | Informed
    | PossessionProven
    | PossessionExcepted
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
    | Expired
)


# --- wishes: imperative; those that carry a result name the vault record it will be stored under ---


class Wish(msgspec.Struct, frozen=True):
    pass


class Open(Wish, frozen=True):
    visit_id: str
    service_id: str
    catalogue: str
    officer_id: str
    tenant: str
    epoch: int = 1
    only: tuple[Part, ...] = ()
    supplements: str = ""
    why: str = ""


class KeepCard(Wish, frozen=True):
    record: str
    digest: str
    verdict: str
    flags: tuple[str, ...]
    genuine: str
    test_trust: bool
    expected_number: bool  # the card's national number is the one of the visit (or the visit names none)


class WaiveCard(Wish, frozen=True):
    reason: str
    document: str


class Inform(Wish, frozen=True):
    notice: str
    language: str
    aloud: bool


class ProvePossession(Wish, frozen=True):
    record: str
    digest: str
    certificate_valid: bool
    test_trust: bool
    same_holder: bool  # the certificate's national number is that of the card that was kept


class ExceptPossession(Wish, frozen=True):
    reason: str


class ChooseProcedure(Wish, frozen=True):
    procedure: str


class KeepPhoto(Wish, frozen=True):
    record: str
    digest: str


class KeepFinger(Wish, frozen=True):
    hand: Hand
    finger: Finger
    record: str
    digest: str


class ExceptFingers(Wish, frozen=True):
    hand: Hand
    fingers: tuple[Finger, ...]
    reason: str
    lasting: str
    attest_seen: bool


class KeepSignature(Wish, frozen=True):
    record: str
    digest: str


class ExceptSignature(Wish, frozen=True):
    reason: str


class Review(Wish, frozen=True):
    language: str


class Redo(Wish, frozen=True):
    step: Step
    hand: Hand | None = None  # of the fingers only this hand, when given


class Seal(Wish, frozen=True):
    packet_id: str
    manifest_sha256: str
    size: int


class NoteUploaded(Wish, frozen=True):
    packet_id: str


class NoteAnswer(Wish, frozen=True):
    packet_id: str
    verdict: str
    code: str
    parts: tuple[Part, ...] = ()


class Abandon(Wish, frozen=True):
    reason: str
