"""The files of a sealed application, made of a finished visit and its records (docs/protocol.md 3). Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from device.agent.events import CardKept, CardWaived, PossessionExcepted, PossessionProven, SignatureExcepted
from device.agent.records import KeptFinger, KeptSignature, only
from device.agent.visit import HANDS, Visit, validity_months
from device.ports import CardReading, Hand, Photo
from protocol.bag import BagVisit
from protocol.catalogue import Entry
from protocol.possession import PART as POSSESSION
from protocol.possession import Evidence, encode
from protocol.sealed.packet import Part


class Records(msgspec.Struct, frozen=True):
    """What the vault held of the visit, unpacked. A part of it is absent where an exception stands."""

    card: CardReading | None
    photo: Photo | None
    fingers: Mapping[Hand, KeptFinger]
    signature: KeptSignature | None
    possession: Evidence | None = None
    pictures: Mapping[str, tuple[str, ...]] = {}  # SHA-256 of those in a record, by its id

    def __repr__(self) -> str:
        return "Records(...)"


def make(visit: Visit, request: BagVisit, records: Records, entry: Entry) -> tuple[Part, ...]:
    """The parts in the order of the protocol, application.json last."""
    parts = []
    if records.card is not None:
        parts.append(_json("identity.json", _identity(records.card)))
        if records.card.photo is not None and not only(request):  # the service has it of the first visit
            known = _known(records, visit.card)
            parts.append(Part("card-photo.jpg", "image/jpeg", records.card.photo.jpeg, known[0]))
    if records.photo is not None:
        known = _known(records, visit.photo)
        parts.append(Part("photo.jpg", "image/jpeg", records.photo.jpeg, known[0]))
    for hand, finger in records.fingers.items():
        known = _known(records, visit.hands[hand].kept)
        parts.append(Part(f"{_finger_name(visit, hand)}.png", "image/png", finger.png, known[0]))
    if records.signature is not None:
        known = _known(records, visit.signature)
        parts.append(Part("signature.svg", "image/svg+xml", records.signature.svg, known[0]))
        parts.append(Part("signature.png", "image/png", records.signature.png, known[1]))
    if records.possession is not None:
        parts.append(Part(POSSESSION, "application/json", encode(records.possession)))
    parts.append(_json("application.json", _application(visit, request, records, entry)))
    return tuple(parts)


def _known(records: Records, fact: object) -> tuple[str, ...]:
    """The digests of the pictures in the record that a fact names; empty where they are not known."""
    return records.pictures.get(getattr(fact, "record", ""), ()) or ("", "")


def flags(visit: Visit, records: Records, example_picture: bool) -> tuple[str, ...]:
    """What a second person should know before opening; sorted codes, no fact about the citizen's body."""
    card, proven = visit.card, visit.possession
    poor = [bool(finger.hints) for finger in records.fingers.values()]
    poor.append(records.photo is not None and bool(records.photo.hints))
    said = {
        "test-trust": (isinstance(card, CardKept) and card.test_trust)
        or (isinstance(proven, PossessionProven) and proven.test_trust),
        "possession-excepted": isinstance(proven, PossessionExcepted),
        "weak-card": isinstance(card, CardKept) and card.verdict == "weak",
        "card-waived": isinstance(card, CardWaived),
        "exception": isinstance(visit.signature, SignatureExcepted)
        or any(state.exceptions for state in visit.hands.values()),
        "poor-capture": any(poor),
        "example-picture": example_picture,
    }
    return tuple(sorted(name for name, holds in said.items() if holds))


def _identity(card: CardReading) -> dict[str, Any]:
    """As the contract's `read-card` names it."""
    return {
        "verdict": card.verdict,
        "flags": card.flags,
        "genuine": card.genuine,
        "applet": card.applet,
        "card_number": card.card_number,
        "chip_number": card.chip_number,
        "identity": card.identity,
        "address": card.address,
    }


def _application(visit: Visit, request: BagVisit, records: Records, entry: Entry) -> dict[str, Any]:
    """What was done, step by step; of a step that this visit did not have, nothing is said."""
    assert visit.reviewed is not None
    told: dict[str, Any] = {
        "v": 1,
        "service": entry.service.service,
        "catalogue": entry.digest,
        "catalogue_version": entry.service.version,
        "language": request.language,
        "reviewed": _plain(visit.reviewed),
        "measures": _measures(visit, records),
    }
    if visit.procedure is not None:
        told["procedure"] = visit.procedure.procedure
    if visit.informed is not None:
        told["informed"] = _plain(visit.informed)
    if "fingers" in entry.service.steps:
        told["hands"] = {hand: _hand(visit, hand) for hand in HANDS}
        told["validity_months"] = validity_months(visit, entry.service)
    if request.supplements is not msgspec.UNSET:
        told["supplements"] = {"packet_id": request.supplements.packet_id, "code": request.supplements.code}
    if isinstance(visit.card, CardWaived):
        # Nothing on a card says who this is: the request does, and the officer has seen the document.
        told["card"] = {"state": "waived", **_plain(visit.card)}
        told["request"] = msgspec.to_builtins(request.citizen)
    else:
        told["card"] = {"state": "read"}
    if isinstance(visit.possession, PossessionExcepted):
        told["possession"] = {"state": "excepted", **_plain(visit.possession)}
    elif visit.possession is not None:
        told["possession"] = {"state": "proven", "certificate_valid": visit.possession.certificate_valid}
    if isinstance(visit.signature, SignatureExcepted):
        told["signature"] = {"state": "excepted", **_plain(visit.signature)}
    elif visit.signature is not None:
        told["signature"] = {"state": "given"}
    return told


def _hand(visit: Visit, hand: Hand) -> dict[str, Any]:
    state = visit.hands[hand]
    exceptions = [_plain(each) for each in state.exceptions]
    for each in exceptions:
        del each["hand"]
    return {"finger": state.kept.finger if state.kept else "", "exceptions": exceptions}


def _measures(visit: Visit, records: Records) -> dict[str, Any]:
    measured: dict[str, Any] = {"photo": _measured(records.photo)} if records.photo else {}
    for hand, finger in records.fingers.items():
        measured[_finger_name(visit, hand)] = {**_measured(finger), "device": finger.device}
    if records.signature is not None:
        kept = records.signature
        measured["signature"] = {"strokes": kept.strokes, "points": kept.points, "device": kept.device}
    return measured


def _measured(capture: Photo | KeptFinger) -> dict[str, Any]:
    return {
        "width": capture.width,
        "height": capture.height,
        "measures": capture.measures,
        "hints": capture.hints,
    }


def _finger_name(visit: Visit, hand: Hand) -> str:
    kept = visit.hands[hand].kept
    assert kept is not None  # there is a record because there is a fact
    return f"finger-{hand}-{kept.finger}"


def _plain(fact: msgspec.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(fact)
    del plain["kind"]
    return plain


def _json(name: str, value: Mapping[str, Any]) -> Part:
    return Part(name, "application/json", msgspec.json.encode(value, order="sorted"))
