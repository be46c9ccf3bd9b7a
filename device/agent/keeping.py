"""What a capture must be to be kept: the vault record it becomes and the wish that names it, or the
failure."""

from dataclasses import dataclass
from datetime import datetime

from device.agent.captures import Running, Taken
from device.agent.events import KeepCard, KeepFinger, KeepPhoto, KeepSignature, ProvePossession, Wish
from device.agent.holder import evidence
from device.agent.records import KeptFinger, Kind, digest, pack
from device.agent.snapshot import Failure
from device.errors import Code, Remedy
from device.ports import CardReading, HolderProof, Photo, PinState
from protocol.bag import BagVisit
from protocol.ids import new_ulid


@dataclass(frozen=True)
class Keep:
    """Put `data` into the vault as `record` and note `wish`, which names its `digest`, or neither."""

    kind: Kind
    record: str
    data: bytes
    digest: str
    wish: Wish


def judge_card(reading: CardReading, request: BagVisit) -> Failure | None:
    """Why this card cannot be kept; None when it can. Nothing of a card that fails here is stored or
    shown."""
    if reading.verdict == "no-card":
        return Failure(Code.NO_CARD, Remedy.OFFICER, "card")
    if reading.verdict == "not-an-eid":
        return Failure(Code.NOT_AN_EID, Remedy.OFFICER, "card", reading.reasons)
    if reading.verdict == "rejected" or reading.identity is None:
        return Failure(Code.CARD_REJECTED, Remedy.OFFICER, "card", reading.reasons)
    if reading.genuine == "failed":
        return Failure(Code.NOT_GENUINE, Remedy.OFFICER, "card", reading.flags)
    if not _expected(reading, request):
        return Failure(Code.WRONG_PERSON, Remedy.OFFICER, "card")
    return None


def keep(running: Running, taken: Taken, request: BagVisit, card: CardReading | None, now: datetime) -> Keep:
    """The record and the wish of what was taken. Whether the wish fits is for the rules to say.

    `card` is the card that was kept."""
    assert not isinstance(taken, PinState)  # is shown, not kept
    data, record = pack(evidence(taken, now) if isinstance(taken, HolderProof) else taken), new_ulid()
    named = digest(data)
    if isinstance(taken, HolderProof):
        same = _number(card) == taken.national_number
        proven = ProvePossession(record, named, taken.certificate_valid, taken.test_trust, same)
        return Keep("possession", record, data, named, proven)
    if isinstance(taken, CardReading):
        wish: Wish = KeepCard(
            record,
            named,
            taken.verdict,
            taken.flags,
            taken.genuine,
            taken.test_trust,
            _expected(taken, request),
        )
        return Keep("card", record, data, named, wish)
    if isinstance(taken, Photo):
        return Keep("photo", record, data, named, KeepPhoto(record, named))
    if isinstance(taken, KeptFinger):
        assert running.hand is not None
        assert running.finger is not None
        wish = KeepFinger(running.hand, running.finger, record, named)
        return Keep("finger", record, data, named, wish)
    return Keep("signature", record, data, named, KeepSignature(record, named))


def _number(reading: CardReading | None) -> str | None:
    return reading.identity.national_number if reading is not None and reading.identity is not None else None


def _expected(reading: CardReading, request: BagVisit) -> bool:
    """The card's number is the one of the visit, or the visit names none."""
    asked = request.citizen.national_number
    return not asked or _number(reading) == asked
