"""PINs: another one for who is in, one for who forgot it and telephones, a first one for a new colleague."""

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from device.errors import Code, KitError, Remedy
from device.kiosk import forms
from device.kiosk.browser import Answer
from device.kiosk.desk import present
from device.kiosk.guard import answered, done, wants_json
from device.kiosk.screens import beside
from protocol.sealed.registration import challenge_of, credential_text

ways = Blueprint("ways", __name__)


@ways.get("/pin")
def pin() -> Response | str:
    """Not while a visit is open: the form would cover it."""
    if present().snapshot.visit is not None:
        return redirect(url_for("screens.index"), 303)
    return beside("pin")


@ways.post("/pin")
def change() -> Response:
    form = forms.read(forms.ChangePin, "ways.pin")
    if form.pin != form.again:
        return _differ("ways.pin", {})
    present().desk.front.change_pin(form.old, form.pin)
    return _changed()


@ways.get("/forgotten")
def forgotten() -> Response | str:
    """Who forgot it; with one officer there is no question."""
    officers = present().snapshot.gate.officers
    if len(officers) == 1:
        return redirect(url_for("ways.forgotten_of", officer_id=officers[0].officer_id), 303)
    return beside("forgotten")


@ways.get("/forgotten/<officer_id>")
def forgotten_of(officer_id: str) -> Response | str:
    here = present()
    officer = next((one for one in here.snapshot.gate.officers if one.officer_id == officer_id), None)
    if officer is None:
        abort(404)
    try:
        challenge = here.desk.front.challenge(officer_id)
    except KitError as problem:
        return render_template("kiosk/problem.html", code=str(problem.code))
    return beside("forgotten-code", who=officer, challenge=challenge.split("-"))


@ways.post("/forgotten")
def recover() -> Response:
    form = forms.read(forms.Recover, "ways.forgotten")
    if form.pin != form.again:
        return _differ("ways.forgotten_of", {"officer_id": form.officer})
    present().desk.front.recover(form.officer, form.code, form.pin)
    return _changed()


@ways.get("/pin/changed")
def changed() -> str:
    return beside("pin-changed")


@ways.get("/newcomers")
def newcomers() -> Response | str:
    """Who may be let in with a code. Not while a visit is open: the form would cover it."""
    here = present().snapshot
    if here.visit is not None or not here.newcomers:
        return redirect(url_for("screens.index"), 303)
    if len(here.newcomers) == 1:
        return redirect(url_for("ways.newcomer", officer_id=here.newcomers[0].officer_id), 303)
    return beside("newcomers")


@ways.get("/newcomers/<officer_id>")
def newcomer(officer_id: str) -> Response | str:
    here = present().snapshot
    officer = next((one for one in here.newcomers if one.officer_id == officer_id), None)
    if here.visit is not None or officer is None:
        return redirect(url_for("screens.index"), 303)
    return beside("newcomer", who=officer)


@ways.post("/newcomers")
def enrol() -> Response:
    form = forms.read(forms.Enrol, "ways.newcomers")
    if form.pin != form.again:
        return _differ("ways.newcomer", {"officer_id": form.officer})
    present().desk.front.enrol(form.officer, form.code, form.pin)
    return done() if wants_json() else redirect(url_for("ways.enrolled"), 303)


@ways.get("/newcomers/added")
def enrolled() -> str:
    return beside("newcomer-added")


@ways.get("/key")
def key() -> Response | str:
    """Register a security key, for the officer who is in. Not while a visit is open."""
    here = present().snapshot
    if here.visit is not None or here.officer is None:
        return redirect(url_for("screens.index"), 303)
    officer_id = here.officer.officer_id
    asked = credential_text(challenge_of(officer_id))
    return beside("key", challenge=asked, handle=credential_text(officer_id.encode()))


@ways.post("/key")
def register_key() -> Response:
    form = forms.read(forms.RegisterKey, "ways.key")
    present().desk.front.register_key(form.client_data, form.attestation_object)
    return done() if wants_json() else redirect(url_for("ways.key_kept"), 303)


@ways.get("/key/kept")
def key_kept() -> str:
    return beside("key-kept")


def asked_again() -> tuple[str, dict[str, str]]:
    """The page that asks again after this request's form was refused, and what its address needs."""
    if request.endpoint == "ways.change":
        return "ways.pin", {}
    if request.endpoint == "ways.enrol":
        return "ways.newcomer", {"officer_id": request.form.get("officer", "")}
    if request.endpoint == "ways.recover":
        return "ways.forgotten_of", {"officer_id": request.form.get("officer", "")}
    return "screens.index", {}


def _changed() -> Response:
    return done() if wants_json() else redirect(url_for("ways.changed"), 303)


def _differ(page: str, values: dict[str, str]) -> Response:
    return answered(Answer(Code.PINS_DIFFER, Remedy.RETRY), 400, page, values)
