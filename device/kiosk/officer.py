"""Forms of the officer, not of a step: unlocking, the list, languages, stopping, reading a failure."""

from flask import Blueprint, abort, g
from werkzeug.wrappers import Response

from device.agent import events
from device.errors import Remedy
from device.kiosk import forms
from device.kiosk.browser import Answer
from device.kiosk.desk import present
from device.kiosk.guard import answered, done
from look import face

officer = Blueprint("officer", __name__)

ULID = 26


@officer.post("/unlock")
def unlock() -> Response:
    here = present()
    form = forms.read(forms.Unlock)
    here.desk.front.unlock(form.officer, form.pin)
    g.browser = here.desk.browsers.hand_over(here.browser)
    return done()


@officer.post("/unlock/card")
def show_card() -> Response:
    form = forms.read(forms.ShowCard)
    present().desk.front.show_card(form.officer)
    return done()


@officer.post("/unlock/card/enter")
def enter_pin() -> Response:
    here = present()
    try:
        form = forms.read(forms.EnterPin)
    except forms.Incomplete:
        return answered(Answer("pin", Remedy.RETRY), 400)
    card = here.snapshot.gate.card
    if card and card.pin and card.pin.tries_left == 1 and form.last_try != "yes":
        return answered(Answer("last-try", Remedy.OFFICER), 409)
    here.desk.front.enter_officer_pin(form.entry, bytearray(form.pin.encode()), form.last_try == "yes")
    return done()


@officer.post("/unlock/card/stop")
def hide_card() -> Response:
    forms.read(forms.Empty)
    present().desk.front.hide_card()
    return done()


@officer.post("/lock")
def lock() -> Response:
    here = present()
    forms.read(forms.Empty)
    here.desk.front.lock()
    here.desk.browsers.take_back()
    return done()


@officer.post("/language")
def language() -> Response:
    here = present()
    form = forms.read(forms.ChooseLanguage)
    answer = done()
    if form.who == "officer":
        answer.set_cookie(face.COOKIE, form.language, httponly=True, samesite="Strict")
    elif g.holder and here.snapshot.visit:
        here.browser.citizen = (here.visit.visit_id, form.language)
    return answer


@officer.post("/visits/<visit_id>/open")
def choose(visit_id: str) -> Response:
    forms.read(forms.Empty)
    if len(visit_id) != ULID:
        abort(404)
    present().desk.front.choose(visit_id)
    return done()


@officer.post("/leave")
def leave() -> Response:
    forms.read(forms.Empty)
    present().desk.front.leave()
    return done()


@officer.post("/abandon")
def abandon() -> Response:
    form = forms.read(forms.Abandon, "screens.abandon")
    present().desk.front.wish(events.Abandon(form.reason))
    return done()


@officer.post("/cancel")
def cancel() -> Response:
    forms.read(forms.Empty)
    present().desk.front.cancel()
    return done()


@officer.post("/sending/now")
def try_now() -> Response:
    forms.read(forms.Empty, "screens.sending")
    present().desk.front.try_now()
    return done()


@officer.post("/dismiss")
def dismiss() -> Response:
    forms.read(forms.Empty)
    present().desk.front.dismiss()
    return done()
