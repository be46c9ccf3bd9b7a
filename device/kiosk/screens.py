"""The pages a person sees: the screen that is due, the forms beside it, and what the follow script asks."""

from datetime import date
from typing import Any

from flask import Blueprint, abort, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from device.kiosk.desk import Present, present
from device.kiosk.place import may_enter_officer, may_go_without
from device.ports import LADDER, Hand
from look import moments

PATIENCE_S = 20.0  # a follower waits at most this long, then asks again

screens = Blueprint("screens", __name__)


@screens.get("/")
def index() -> str:
    here = present()
    return render_template(f"kiosk/{here.place.name}.html", **_shown(here))


@screens.get("/desk")
def desk() -> Response:
    here = present()
    after = request.args.get("after", "")
    if after and not (after.isascii() and after.isdigit() and len(after) < 16):
        abort(400)
    snapshot = here.snapshot
    if after and here.desk.waiting.acquire(blocking=False):
        try:
            snapshot = here.desk.front.after(int(after), PATIENCE_S)
        finally:
            here.desk.waiting.release()
    return jsonify(here.report(snapshot))


@screens.get("/sending")
def sending() -> Response | str:
    """What waits to be sent, and why; between visits only."""
    here = present()
    if here.place.screen != "visits":
        return redirect(url_for("screens.index"), 303)
    return beside("sending")


@screens.get("/step/card/waive")
def waive() -> Response | str:
    return beside_step("waive", "card")


@screens.get("/step/fingers/except")
def except_fingers() -> Response | str:
    here = present()
    asked = request.args.get("hand")
    hands = here.snapshot.visit.hands if here.snapshot.visit else ()
    hand = next((each for each in hands if each.wanted and asked in (None, each.hand)), None)
    if hand is None:
        return redirect(url_for("screens.index"), 303)
    return beside_step("fingers-except", "fingers", hand=hand)


@screens.get("/step/signature/except")
def except_signature() -> Response | str:
    return beside_step("signature-except", "signature")


@screens.get("/abandon")
def abandon() -> Response | str:
    here = present()
    if here.snapshot.visit is None or here.snapshot.visit.step is None or here.snapshot.busy:
        return redirect(url_for("screens.index"), 303)
    return beside("abandon")


def beside(template: str, **values: object) -> str:
    """A page beside the screen that is due, which the follow script leaves alone."""
    return render_template(f"kiosk/{template}.html", **_shown(present()), is_beside=True, **values)


def beside_step(template: str, step: str, **values: object) -> Response | str:
    """The page, while its step is the open visit's; else the screen that is due."""
    visit = present().snapshot.visit
    if visit is None or visit.step != step or present().snapshot.busy:
        return redirect(url_for("screens.index"), 303)
    return beside(template, **values)


def _shown(here: Present) -> dict[str, Any]:
    now = here.desk.clock.now()
    return {
        "desk": here.snapshot,
        "visit": here.snapshot.visit,
        "place": here.place,
        "answer": here.browser.answer,
        "csrf_value": here.browser.csrf,
        "service": here.service if here.snapshot.visit else None,
        "now": now,
        "bag_day": date.fromisoformat(here.snapshot.bag_date) if here.snapshot.bag_date else None,
        "today": now.astimezone(moments.ZONE).date().isoformat(),
        "local_time": now.astimezone(moments.ZONE).strftime("%H:%M"),
        "citizen": here.citizens_language() if here.snapshot.visit else "",
        "ladder": LADDER,
        "next_hand": _next_hand(here),
        "may_enter_officer": may_enter_officer(here.snapshot.gate),
        "may_go_on": bool(here.snapshot.visit and may_go_without(here.snapshot.visit)),
    }


def _next_hand(here: Present) -> Hand | None:
    visit = here.snapshot.visit
    return next((each.hand for each in visit.hands if each.wanted), None) if visit else None
