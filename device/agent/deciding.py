"""The rules of a visit: which wish fits which stage, and which facts follow from it.

`MAY` is the table. What it cannot say stands in the one function per wish below it: a card must be the
visit's own, a finger must be the one the ladder wants, an exception must be one the entry knows. A wish
that does not fit raises `Refused` and leaves everything as it was.

A step that was done is taken back with `Redo`; the stage falls back to it and the citizen's review, which was
about what has now changed, is taken back too. There is no other way to do a step again: nothing is
overwritten, and the records a fact named are dropped in the same transaction that stores `Redone`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, cast, get_args

from device.agent.events import (
    Abandon,
    Abandoned,
    Answered,
    CardKept,
    CardWaived,
    ChooseProcedure,
    Event,
    ExceptFingers,
    ExceptPossession,
    ExceptSignature,
    FingerKept,
    FingersExcepted,
    Inform,
    Informed,
    KeepCard,
    KeepFinger,
    KeepPhoto,
    KeepSignature,
    NoteAnswer,
    NoteUploaded,
    Open,
    Opened,
    PhotoKept,
    PossessionExcepted,
    PossessionProven,
    ProcedureChosen,
    ProvePossession,
    Redo,
    Redone,
    Review,
    Reviewed,
    Seal,
    Sealed,
    SignatureExcepted,
    SignatureKept,
    Uploaded,
    Verdict,
    WaiveCard,
    Wish,
)
from device.agent.visit import Stage, Visit, is_begun, stage, wanted_finger
from device.errors import Code, Refused
from look.moments import ZONE
from protocol.catalogue.schema import Service

_STEPS: dict[Stage, frozenset[type[Wish]]] = {
    "card": frozenset({KeepCard, WaiveCard}),
    "inform": frozenset({Inform}),
    "possession": frozenset({ProvePossession, ExceptPossession}),
    "procedure": frozenset({ChooseProcedure}),
    "photo": frozenset({KeepPhoto}),
    "fingers": frozenset({KeepFinger, ExceptFingers}),
    "signature": frozenset({KeepSignature, ExceptSignature}),
    "review": frozenset({Review}),
    "seal": frozenset({Seal}),
}

MAY: Mapping[Stage, frozenset[type[Wish]]] = {
    "new": frozenset({Open}),
    **{step: fitting | {Redo, Abandon} for step, fitting in _STEPS.items()},
    "sealed": frozenset({NoteUploaded, NoteAnswer}),
    "uploaded": frozenset({NoteAnswer}),
    "answered": frozenset(),
    "abandoned": frozenset(),
}


NO_CERTIFICATE = "no-auth-certificate"
"""Flag of a card that cannot prove anything: Kids-ID, or a holder who refused certificates."""


def decide(visit: Visit, wish: Wish, service: Service) -> tuple[Event, ...]:
    """The facts that follow from the wish; `Refused` when it does not fit, and then nothing has changed."""
    where = stage(visit, service)
    if type(wish) not in MAY[where]:
        missing = isinstance(wish, Seal) and where in _STEPS
        raise Refused(Code.STEP_MISSING if missing else Code.NOT_NOW, where)
    return (_DECIDE[type(wish)](visit, wish, service),)


def check_hour(procedure: str, service: Service, now: datetime) -> None:
    """Refused not-now when it is too late in the day for this procedure, by the time that screens show."""
    rule = service.procedure(procedure)
    if rule is not None and rule.before and now.astimezone(ZONE).strftime("%H:%M") >= rule.before:
        raise Refused(Code.NOT_NOW, f"{procedure} is asked before {rule.before}")


def _check(lawful: bool, what: str, code: Code = Code.NOT_NOW) -> None:
    if not lawful:
        raise Refused(code, what)


def _open(visit: Visit, wish: Open, service: Service) -> Event:
    _check(wish.service_id == service.service, "another service")
    _check(bool(wish.only) == bool(wish.supplements), "parts of no application, or none of one")
    _check(set(wish.only) <= set(service.steps), "a part the service has no step for")
    about = (wish.visit_id, wish.service_id, wish.catalogue, wish.officer_id, wish.tenant, wish.epoch)
    return Opened(*about, wish.only, wish.supplements, wish.why)


def _keep_card(visit: Visit, wish: KeepCard, service: Service) -> Event:
    _check(wish.verdict in ("verified", "weak"), wish.verdict, Code.CARD_REJECTED)
    _check(wish.genuine in ("proven", "unproven"), wish.genuine, Code.NOT_GENUINE)
    _check(wish.expected_number, "another national number", Code.WRONG_PERSON)
    verdict = cast(Literal["verified", "weak"], wish.verdict)
    genuine = cast(Literal["proven", "unproven"], wish.genuine)
    return CardKept(wish.record, wish.digest, verdict, wish.flags, genuine, wish.test_trust)


def _waive_card(visit: Visit, wish: WaiveCard, service: Service) -> Event:
    for rule in service.card.waivers:
        for document in rule.documents:
            if (wish.reason, wish.document) == (rule.reason, document):
                return CardWaived(rule.reason, document)
    raise Refused(Code.NOT_NOW, "no such waiver")


def _inform(visit: Visit, wish: Inform, service: Service) -> Event:
    _check(wish.notice == service.inform.notice, "another notice")
    _check(wish.language in service.inform.languages, "no such language")
    return Informed(wish.notice, wish.language, wish.aloud)


def _prove_possession(visit: Visit, wish: ProvePossession, service: Service) -> Event:
    _check(isinstance(visit.card, CardKept), "no card")
    _check(wish.same_holder, "the certificate of another", Code.WRONG_PERSON)
    _check(wish.certificate_valid or service.possession.expired, "an expired certificate")
    return PossessionProven(wish.record, wish.digest, wish.certificate_valid, wish.test_trust)


def _except_possession(visit: Visit, wish: ExceptPossession, service: Service) -> Event:
    flags = visit.card.flags if isinstance(visit.card, CardKept) else ()
    waived = not isinstance(visit.card, CardKept)
    for reason in service.possession.exceptions:
        if wish.reason == reason:
            _check((reason == "no-card") is waived, "no-card is for a visit without a card, and for no other")
            _check(reason != "no-certificate" or NO_CERTIFICATE in flags, "the card has a certificate")
            return PossessionExcepted(reason)
    raise Refused(Code.NOT_NOW, "no such exception")


def _choose_procedure(visit: Visit, wish: ChooseProcedure, service: Service) -> Event:
    found = service.procedure(wish.procedure)
    if found is None:
        raise Refused(Code.NOT_NOW, "no such procedure")
    return ProcedureChosen(found.id)


def _keep_photo(visit: Visit, wish: KeepPhoto, service: Service) -> Event:
    return PhotoKept(wish.record, wish.digest)


def _keep_finger(visit: Visit, wish: KeepFinger, service: Service) -> Event:
    _check(wish.hand in visit.hands, "no hand")
    _check(wish.finger == wanted_finger(visit, wish.hand, service), "not the finger wanted")
    others = {state.kept.digest for state in visit.hands.values() if state.kept}
    _check(wish.digest not in others, "the same image", Code.SAME_FINGER)
    return FingerKept(wish.hand, wish.finger, wish.record, wish.digest)


def _except_fingers(visit: Visit, wish: ExceptFingers, service: Service) -> Event:
    _check(wish.hand in visit.hands, "no hand")
    state = visit.hands[wish.hand]
    _check(state.kept is None, "the hand has given a print")
    _check(bool(wish.fingers) and len(set(wish.fingers)) == len(wish.fingers), "no fingers, or one twice")
    _check(set(wish.fingers) <= set(service.fingers.ladder) - state.excepted, "not on the ladder any more")
    for lasting, rule in (("temporary", service.fingers.temporary), ("permanent", service.fingers.permanent)):
        for reason in rule.reasons:
            if (wish.lasting, wish.reason) == (lasting, reason):
                kept_lasting = cast(Literal["temporary", "permanent"], lasting)
                return FingersExcepted(wish.hand, wish.fingers, reason, kept_lasting, wish.attest_seen)
    raise Refused(Code.NOT_NOW, "no such exception")


def _keep_signature(visit: Visit, wish: KeepSignature, service: Service) -> Event:
    return SignatureKept(wish.record, wish.digest)


def _except_signature(visit: Visit, wish: ExceptSignature, service: Service) -> Event:
    for reason in service.signature.exceptions:
        if wish.reason == reason:
            return SignatureExcepted(reason)
    raise Refused(Code.NOT_NOW, "no such exception")


def _review(visit: Visit, wish: Review, service: Service) -> Event:
    _check(wish.language in service.inform.languages, "no such language")
    return Reviewed(wish.language)


def _redo(visit: Visit, wish: Redo, service: Service) -> Event:
    _check(wish.step in service.steps and is_begun(visit, wish.step), "nothing to take back")
    _check(wish.hand is None or wish.step == "fingers", "only fingers have hands")
    return Redone(wish.step, wish.hand)


def _seal(visit: Visit, wish: Seal, service: Service) -> Event:
    return Sealed(wish.packet_id, wish.manifest_sha256, wish.size)


def _note_uploaded(visit: Visit, wish: NoteUploaded, service: Service) -> Event:
    _check(visit.sealed is not None and wish.packet_id == visit.sealed.packet_id, "another packet")
    return Uploaded(wish.packet_id)


def _note_answer(visit: Visit, wish: NoteAnswer, service: Service) -> Event:
    _check(visit.sealed is not None and wish.packet_id == visit.sealed.packet_id, "another packet")
    _check(wish.verdict in get_args(Verdict), "no such verdict")
    _check(bool(wish.parts) == (wish.verdict == "recapture"), "parts go with a recapture")
    return Answered(wish.packet_id, cast(Verdict, wish.verdict), wish.code, wish.parts)


def _abandon(visit: Visit, wish: Abandon, service: Service) -> Event:
    for reason in get_args(Abandoned.__annotations__["reason"]):
        if wish.reason == reason:
            return Abandoned(reason)
    raise Refused(Code.NOT_NOW, "no such reason")


_DECIDE: Mapping[type[Wish], Callable[[Visit, Any, Service], Event]] = {
    Open: _open,
    KeepCard: _keep_card,
    WaiveCard: _waive_card,
    Inform: _inform,
    ProvePossession: _prove_possession,
    ExceptPossession: _except_possession,
    ChooseProcedure: _choose_procedure,
    KeepPhoto: _keep_photo,
    KeepFinger: _keep_finger,
    ExceptFingers: _except_fingers,
    KeepSignature: _keep_signature,
    ExceptSignature: _except_signature,
    Review: _review,
    Redo: _redo,
    Seal: _seal,
    NoteUploaded: _note_uploaded,
    NoteAnswer: _note_answer,
    Abandon: _abandon,
}
