"""The step in which the holder gives the card's PIN: ask the card, enter the PIN once, or go on without."""

from flask import Blueprint, redirect, url_for
from werkzeug.wrappers import Response

from device.agent import events
from device.errors import Remedy
from device.kiosk import forms
from device.kiosk.browser import Answer
from device.kiosk.desk import present
from device.kiosk.guard import answered, done
from device.kiosk.place import may_go_without
from device.kiosk.screens import beside_step

possession = Blueprint("possession", __name__, url_prefix="/step/possession")


@possession.post("/ask")
def ask() -> Response:
    forms.read(forms.Empty)
    present().desk.front.start("pin-state")
    return done()


@possession.post("/enter")
def enter() -> Response:
    """One entry. The digits leave this function in a buffer that is wiped; the form's own text is only let
    go of, which Python does not let us do better."""
    here = present()
    try:
        form = forms.read(forms.EnterPin)
    except forms.Incomplete:
        return answered(Answer("pin", Remedy.RETRY), 400)
    visit = here.snapshot.visit
    if visit and visit.pin and visit.pin.tries_left == 1 and form.last_try != "yes":
        return answered(Answer("last-try", Remedy.OFFICER), 409)
    here.desk.front.enter_pin(form.entry, bytearray(form.pin.encode()), form.last_try == "yes")
    return done()


@possession.get("/except")
def except_form() -> Response | str:
    visit = present().snapshot.visit
    if visit is None or not may_go_without(visit):
        return redirect(url_for("screens.index"), 303)
    return beside_step("possession-except", "possession", reasons=may_go_without(visit))


@possession.post("/except")
def go_without() -> Response:
    form = forms.read(forms.ExceptPossession, "possession.except_form")
    present().desk.front.wish(events.ExceptPossession(form.reason))
    return done()
