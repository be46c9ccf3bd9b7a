"""Carrying by hand: sealed applications and receipts to a stick and from one."""

from flask import Blueprint
from werkzeug.wrappers import Response

from device.kiosk import forms
from device.kiosk.desk import present
from device.kiosk.guard import done

courier = Blueprint("courier", __name__)


@courier.post("/courier")
def carry() -> Response:
    forms.read(forms.Empty)
    present().desk.front.carry()
    return done()


@courier.post("/courier/export")
def export() -> Response:
    present().desk.front.run_errand("export", forms.read(forms.Carry).stick)
    return done()


@courier.post("/courier/import")
def take_in() -> Response:
    present().desk.front.run_errand("import", forms.read(forms.Carry).stick)
    return done()


@courier.post("/courier/close")
def close() -> Response:
    forms.read(forms.Empty)
    present().desk.front.stop_carrying()
    return done()
