"""Forms of the steps of a visit: each is one wish or one capture, asked of the desk and answered by it."""

from typing import cast, get_args

from flask import Blueprint, abort
from werkzeug.wrappers import Response

from device.agent import events
from device.agent.snapshot import VisitView
from device.errors import Code, Refused, Remedy
from device.kiosk import effect, forms
from device.kiosk.browser import Answer
from device.kiosk.desk import Present, present
from device.kiosk.guard import answered, done, wants_json
from device.kiosk.place import card_mark, photo_mark
from device.kiosk.screens import beside

steps = Blueprint("steps", __name__, url_prefix="/step")
redo = Blueprint("redo", __name__, url_prefix="/redo")


@steps.post("/card/read")
def read_card() -> Response:
    here = _empty()
    here.desk.front.start("card")
    return done()


@steps.post("/card/seen")
def seen_card() -> Response:
    here = _empty()
    here.browser.seen |= {card_mark(_visit(here))}
    return done()


@steps.post("/card/waive")
def waive_card() -> Response:
    form = forms.read(forms.Waive, "screens.waive")
    here = present()
    _visit(here)
    allowed = any(
        rule.reason == form.reason and form.document in rule.documents for rule in here.service.card.waivers
    )
    if not allowed:
        return answered(Answer("combination", Remedy.OFFICER), 409, "screens.waive")
    here.desk.front.wish(events.WaiveCard(form.reason, form.document))
    return done()


@steps.post("/inform")
def inform() -> Response:
    form = forms.read(forms.Informed)
    here = present()
    _visit(here)
    notice = here.service.inform.notice
    here.desk.front.wish(events.Inform(notice, here.citizens_language(), form.aloud == "yes"))
    return done()


@steps.post("/procedure")
def choose_procedure() -> Response:
    form = forms.read(forms.Procedure)
    present().desk.front.wish(events.ChooseProcedure(form.procedure))
    return done()


@steps.post("/photo/take")
def take_photo() -> Response:
    _empty().desk.front.start("photo")
    return done()


@steps.post("/photo/keep")
def keep_photo() -> Response:
    here = _empty()
    here.browser.seen |= {photo_mark(_visit(here))}
    return done()


@steps.post("/photo/redo")
def redo_photo() -> Response:
    _empty().desk.front.wish(events.Redo("photo"))
    return done()


@steps.post("/fingers/take")
def take_finger() -> Response:
    form = forms.read(forms.TakeFinger)
    present().desk.front.start("finger", form.hand, form.finger)
    return done()


@steps.post("/fingers/except")
def except_fingers() -> Response | str:
    form = forms.read(forms.ExceptFingers, "screens.except_fingers")
    here = present()
    hand = next((each for each in _visit(here).hands if each.hand == form.hand), None)
    if hand is None or hand.wanted is None:
        raise Refused(Code.NOT_NOW, "no finger of this hand is wanted")
    if form.reason not in effect.reasons(here.service.fingers, form.lasting):
        return answered(Answer("combination", Remedy.OFFICER), 409, "screens.except_fingers")
    fingers = form.named(hand.wanted, hand.excepted)
    if form.confirm != "yes" and not wants_json():
        means = effect.of(_visit(here), hand, fingers, form.lasting)
        return beside("fingers-effect", hand=hand, fingers=fingers, form=form, means=means)
    attest = form.attest_seen == "yes"
    here.desk.front.wish(events.ExceptFingers(form.hand, fingers, form.reason, form.lasting, attest))
    return done()


@steps.post("/signature/start")
def start_signature() -> Response:
    _empty().desk.front.start("signature")
    return done()


@steps.post("/signature/done")
def finish_signature() -> Response:
    _empty().desk.front.finish_ink()
    return done()


@steps.post("/signature/except")
def except_signature() -> Response:
    form = forms.read(forms.ExceptSignature, "screens.except_signature")
    present().desk.front.wish(events.ExceptSignature(form.reason))
    return done()


@steps.post("/review/confirm")
def confirm_review() -> Response:
    here = _empty()
    _visit(here)
    here.desk.front.wish(events.Review(here.citizens_language()))
    return done()


@steps.post("/seal")
def seal() -> Response:
    form = forms.read(forms.SealBy)
    present().desk.front.start("seal-key" if form.by == "key" else "seal")
    return done()


@steps.post("/seal/key")
def answer_key() -> Response:
    form = forms.read(forms.KeyAnswer)
    present().desk.front.answer_key(form.authenticator_data, form.client_data, form.signature)
    return done()


@redo.post("/<step>")
def take_back(step: str) -> Response:
    form = forms.read(forms.Redo)
    if step not in get_args(events.Step):
        abort(404)
    here = present()
    here.desk.front.wish(events.Redo(cast(events.Step, step), form.hand))
    if step == "card":
        here.browser.seen = frozenset()
    return done()


def _empty() -> Present:
    forms.read(forms.Empty)
    return present()


def _visit(here: Present) -> VisitView:
    if here.snapshot.visit is None:
        raise Refused(Code.NOT_NOW, "no visit is open")
    return here.snapshot.visit
