"""What the screens are told of visits, made of what is known of them. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

import msgspec

from device.agent.events import CardKept, CardWaived, PossessionExcepted, SignatureExcepted, SignatureKept
from device.agent.records import only
from device.agent.snapshot import (
    FingerView,
    Lease,
    LineState,
    Link,
    Officer,
    ParcelLine,
    PinView,
    SealedState,
    VisitLine,
    VisitView,
)
from device.agent.term import Left
from device.agent.visit import HANDS, Visit, is_done, next_step, validity_months, wanted_finger
from device.ports import CardReading, Hand
from device.spool.records import LinkStatus
from protocol.bag import BagVisit
from protocol.catalogue.schema import Service
from protocol.instant import read_instant


def lines(requests: Iterable[BagVisit], visits: Mapping[str, Visit]) -> tuple[VisitLine, ...]:
    """Today's list, in the order of the day."""
    rows = [_line(request, visits.get(request.visit_id)) for request in requests]
    return tuple(sorted(rows, key=_by_time))


def lease(left: Left, lines: Iterable[VisitLine]) -> Lease | None:
    """None where the kit needs none. `lines`: the visits that it must last for."""
    if not left.known:
        return None
    to_begin = sum(line.state == "planned" for line in lines)
    hours = int(left.time / timedelta(hours=1))
    return Lease(left.enough_for(max(to_begin, 1)), hours, left.visits, left.enough_for_tomorrow)


def stranded(others: Iterable[BagVisit], officers: Iterable[Officer]) -> tuple[datetime, ...]:
    """When visits begin that are planned with an officer who cannot open this kit."""
    here = {each.officer_id for each in officers}
    return tuple(sorted(read_instant(each.starts) for each in others if each.officer_id not in here))


def link(status: LinkStatus, names: Mapping[str, str] = MappingProxyType({})) -> Link:
    """How the network is. `names`: whose application each packet is, as far as today's list tells."""
    parcels = tuple(
        ParcelLine(each.packet_id, names.get(each.packet_id, ""), each.state, each.code, each.age_s // 60)
        for each in status.parcels
    )
    return Link(
        status.online,
        status.waiting,
        status.oldest_s,
        status.sending_share,
        status.problem,
        parcels,
        status.outage,
    )


def visit_view(
    visit: Visit,
    request: BagVisit,
    service: Service,
    card: CardReading | None,
    sending: str,
    pin: PinView | None = None,
) -> VisitView:
    """The open visit. `card` is the card that was kept; `sending` the packet the uplink is busy with; `pin`
    what the card in the reader said of its PIN."""
    kept_card = visit.card if isinstance(visit.card, CardKept) else None
    opened = _line(request, visit)
    asked = None if request.supplements is msgspec.UNSET else request.supplements
    return VisitView(
        visit_id=opened.visit_id,
        step=next_step(visit, service),
        service=service,
        pin=pin,
        possession=_possession(visit),
        done=tuple(step for step in service.steps if is_done(visit, step, service)),
        name=opened.name,
        language=request.language,
        identity=card.identity if card else None,
        address=card.address if card else None,
        card_flags=kept_card.flags if kept_card else (),
        card_genuine=kept_card.genuine if kept_card else "",
        card_waived=visit.card.reason if isinstance(visit.card, CardWaived) else "",
        procedure=visit.procedure.procedure if visit.procedure else "",
        photo_record=visit.photo.record if visit.photo else "",
        hands=tuple(_hand(visit, hand, service) for hand in HANDS),
        signature_record=visit.signature.record if isinstance(visit.signature, SignatureKept) else "",
        signature_excepted=visit.signature.reason if isinstance(visit.signature, SignatureExcepted) else "",
        validity_note="twelve-months" if validity_months(visit, service) == 12 else "",
        sealed=_sealed(visit, sending),
        answer_code=visit.answered.code if visit.answered else "",
        packet_id=visit.sealed.packet_id if visit.sealed else "",
        abandoned=_abandoned(visit),
        card_record=kept_card.record if kept_card else "",
        only=only(request),
        why=asked.code if asked else "",
        until=read_instant(asked.until) if asked else None,
        asked_anew=visit.answered.parts if visit.answered else (),
    )


def summary(visit: Visit, service: Service) -> dict[str, str]:
    """The visit in codes, for the review screen; absent facts are empty.

    `card` is "read" or "<reason>/<document>"; a hand is its finger; `<hand>-excepted` lists
    "<finger>/<reason>/<lasting>" separated by spaces; `signature` is "given", "cannot" or "refuses";
    `possession` (of a service that asks for it) "proven", or why not; `only` names the parts taken anew.
    """
    codes = {
        "card": "",
        "only": " ".join(visit.opened.only) if visit.opened else "",
        "informed": visit.informed.language if visit.informed else "",
        "procedure": visit.procedure.procedure if visit.procedure else "",
        "photo": "taken" if visit.photo else "",
        "signature": "",
        "validity-months": str(validity_months(visit, service) or ""),
    }
    if visit.possession:
        codes["possession"] = _possession(visit)
    if isinstance(visit.card, CardWaived):
        codes["card"] = f"{visit.card.reason}/{visit.card.document}"
    elif visit.card:
        codes["card"] = "read"
    if isinstance(visit.signature, SignatureExcepted):
        codes["signature"] = visit.signature.reason
    elif visit.signature:
        codes["signature"] = "given"
    for hand in HANDS:
        state = visit.hands[hand]
        codes[hand] = state.kept.finger if state.kept else ""
        codes[f"{hand}-excepted"] = " ".join(
            f"{finger}/{each.reason}/{each.lasting}" for each in state.exceptions for finger in each.fingers
        )
    return codes


def _possession(visit: Visit) -> str:
    if visit.possession is None:
        return ""
    return visit.possession.reason if isinstance(visit.possession, PossessionExcepted) else "proven"


def _line(request: BagVisit, visit: Visit | None) -> VisitLine:
    place = request.place
    return VisitLine(
        visit_id=request.visit_id,
        starts=read_instant(request.starts),
        ends=read_instant(request.ends),
        name=request.citizen.name,
        street=place.street,
        place=f"{place.postcode} {place.municipality}".strip(),
        note=place.note,
        state=_state(visit),
        only=only(request),
    )


def _by_time(row: VisitLine) -> tuple[datetime, str]:
    return row.starts, row.visit_id


def _state(visit: Visit | None) -> LineState:
    if visit is None:
        return "planned"
    if _abandoned(visit):
        return "abandoned"
    if visit.answered:
        return visit.answered.verdict
    if visit.uploaded:
        return "uploaded"
    return "sealed" if visit.sealed else "open"


def _abandoned(visit: Visit) -> str:
    """Why it was given up, in a code."""
    if visit.abandoned:
        return visit.abandoned.reason
    return "expired" if visit.expired else ""


def _sealed(visit: Visit, sending: str) -> SealedState:
    if visit.sealed is None:
        return ""
    if visit.answered:
        return visit.answered.verdict
    if visit.uploaded:
        return "uploaded"
    return "uploading" if visit.sealed.packet_id == sending else "queued"


def _hand(visit: Visit, hand: Hand, service: Service) -> FingerView:
    state = visit.hands[hand]
    return FingerView(
        hand=hand,
        wanted=wanted_finger(visit, hand, service),
        kept=state.kept.finger if state.kept else None,
        kept_record=state.kept.record if state.kept else "",
        excepted=tuple(finger for each in state.exceptions for finger in each.fingers),
    )
