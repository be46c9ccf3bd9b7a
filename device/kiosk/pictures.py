"""Pictures of the open visit: the camera's live view, the ink so far, what was kept. Never a fingerprint."""

from flask import Blueprint, Response, abort

from device.errors import KitError, Refused
from device.kiosk.desk import present

pictures = Blueprint("pictures", __name__)

KINDS = frozenset({"image/jpeg", "image/png", "image/svg+xml"})


@pictures.get("/preview.jpg")
def preview() -> Response:
    """503 while the camera has none; the page goes on asking."""
    here = present()
    visit = here.snapshot.visit
    if visit is None or visit.step != "photo":
        abort(404)
    try:
        return Response(here.desk.front.preview(), mimetype="image/jpeg")
    except KitError:
        abort(503)


@pictures.get("/ink.svg")
def ink() -> Response:
    busy = present().snapshot.busy
    if busy is None or not busy.ink_svg:
        abort(404)
    return Response(busy.ink_svg, mimetype="image/svg+xml")


@pictures.get("/part/<record>")
def part(record: str) -> Response:
    """The photo on the card, the kept photo or the signature of the open visit."""
    here = present()
    visit = here.snapshot.visit
    shown = (visit.card_record, visit.photo_record, visit.signature_record) if visit else ()
    if not record or record not in shown:
        abort(404)
    try:
        kind, data = here.desk.front.part(record)
    except (KitError, Refused):
        abort(404)
    if kind not in KINDS:
        abort(404)
    return Response(data, mimetype=kind)
