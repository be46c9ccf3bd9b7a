"""Incidents, and an administrator's word that one was looked into."""

from flask import Blueprint, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from server.fleet import incidents
from server.fleet.refused import Refused
from server.web.context import actor, context

blueprint = Blueprint("incidents", __name__)


@blueprint.get("/incidents")
def listing() -> str:
    with context().database.reading(actor().scope) as db:
        rows = incidents.listed(db)
    return render_template("fleet/incidents.html", rows=rows, may_acknowledge=actor().may("acknowledge"))


@blueprint.post("/incidents/<incident_id>/acknowledge")
def acknowledge(incident_id: str) -> ResponseReturnValue:
    try:
        with context().database.writing(actor().scope) as db:
            incidents.acknowledge(db, actor(), incident_id, context().clock())
    except Refused as problem:
        abort(404 if problem.code == "unknown-incident" else 403)
    return redirect(url_for("incidents.listing"), 303)
