"""Forms on a kit's page: give it a job, take one back, say how it should be set."""

from flask import Blueprint, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from protocol.desired import BOUNDS
from server.fleet import jobs, twins
from server.fleet.refused import Refused
from server.web.context import actor, context

blueprint = Blueprint("steering", __name__)
_GONE = frozenset({"unknown-kit", "unknown-job", "not-allowed"})


@blueprint.post("/kits/<kit_id>/jobs")
def give(kit_id: str) -> ResponseReturnValue:
    try:
        with context().database.writing(actor().scope) as db:
            jobs.give(db, actor(), kit_id, request.form.get("action", ""), context().clock())
    except Refused as problem:
        return _back(kit_id, problem)
    return _back(kit_id)


@blueprint.post("/kits/<kit_id>/jobs/<job>/cancel")
def cancel(kit_id: str, job: str) -> ResponseReturnValue:
    try:
        with context().database.writing(actor().scope) as db:
            jobs.cancel(db, actor(), job, context().clock())
    except Refused as problem:
        return _back(kit_id, problem)
    return _back(kit_id)


@blueprint.post("/kits/<kit_id>/settings")
def wish(kit_id: str) -> ResponseReturnValue:
    """A field that is left empty is not wished."""
    wanted: dict[str, int | str] = {}
    for key in twins.SETTINGS:
        value = request.form.get(key, "").strip()[:40]
        if value:
            is_number = key in BOUNDS and value.isascii() and value.isdigit()
            wanted[key] = int(value) if is_number else value
    try:
        with context().database.writing(actor().scope) as db:
            twins.wish(db, actor(), kit_id, wanted, context().clock())
    except Refused as problem:
        return _back(kit_id, problem)
    return _back(kit_id)


def _back(kit_id: str, problem: Refused | None = None) -> ResponseReturnValue:
    """To the page, which says why not. What the actor may not see is not there."""
    if problem is not None and problem.code in _GONE:
        abort(404)
    why = problem.code if problem is not None else None
    return redirect(url_for("kits.show", kit_id=kit_id, no=why, _anchor="steering"), 303)
