"""What kits did for visits that were no longer theirs, and the buttons to decide."""

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.fleet import quarantine
from server.fleet.refused import Refused
from server.web.context import actor, context

blueprint = Blueprint("quarantine", __name__)


@blueprint.get("/quarantine")
def listing() -> str:
    with context().database.reading(actor().scope) as db:
        return render_template("fleet/quarantine.html", matters=quarantine.waiting(db))


@blueprint.post("/quarantine/<item_id>/decide")
def decide(item_id: str) -> ResponseReturnValue:
    decision = request.form.get("decision", "")
    try:
        with context().database.writing(actor().scope) as db:
            quarantine.decide(db, actor(), item_id, decision, context().clock())
    except Refused as problem:
        if problem.code != "decided-already":
            abort(404 if problem.code == "unknown-item" else 400)
        # Somebody else was quicker: the list no longer has it.
    return redirect(url_for("quarantine.listing"), 303)
