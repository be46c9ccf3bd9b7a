"""What concerns the broker: a kit refused everywhere, and how the broker's last check ended."""

from typing import Literal

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.fleet import broker_health, kits, revocations
from server.fleet.refused import Refused
from server.web.context import actor, context

blueprint = Blueprint("brokers", __name__)


@blueprint.get("/broker")
def show() -> str:
    now = context().clock()
    with context().database.reading(actor().scope) as db:
        rows = broker_health.results(db)
        safe, stale = not broker_health.verdict(db, now), broker_health.is_stale(db, now)
        return render_template("fleet/broker.html", rows=rows, safe=safe, stale=stale)


@blueprint.post("/kits/<kit_id>/revoke")
def revoke(kit_id: str) -> ResponseReturnValue:
    """Refuse the kit from now on; the job worker carries it to broker and lists, and the page shows how
    far.
    """
    reason: Literal["lost", "retired"] = "lost" if request.form.get("reason") == "lost" else "retired"
    if request.form.get("sure") == "yes":
        try:
            with context().database.writing(actor().scope) as db:
                kits.visible_one(db, kit_id)
                revocations.begin(db, kit_id, reason, actor().name, context().clock())
        except Refused:
            abort(404)
    return redirect(url_for("kits.show", kit_id=kit_id), 303)
