"""Sealed applications by state, and letting a stuck one go on."""

from flask import Blueprint, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from server.fleet import applications
from server.fleet.refused import Refused
from server.web.context import actor, context

blueprint = Blueprint("applications", __name__)


@blueprint.get("/applications")
def listing() -> str:
    with context().database.reading(actor().scope) as db:
        return render_template(
            "fleet/applications.html",
            rows=applications.newest(db),
            counts=applications.counts(db),
            may_release=actor().may("release"),
        )


@blueprint.post("/applications/<packet_id>/release")
def release(packet_id: str) -> ResponseReturnValue:
    try:
        with context().database.writing(actor().scope) as db:
            applications.release(db, actor(), packet_id, context().clock())
    except Refused as problem:
        if problem.code == "unknown-application":
            abort(404)
        # Somebody else was quicker: the list shows where it is now.
    return redirect(url_for("applications.listing"), 303)
