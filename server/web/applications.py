"""Sealed applications by state, who had one of them when, and letting a stuck one go on."""

from flask import Blueprint, Response, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from protocol.custody import write_chain
from server.fleet import applications, custody, outbox, recaptures
from server.fleet.refused import Refused
from server.web.context import actor, context

blueprint = Blueprint("applications", __name__)


@blueprint.get("/applications")
def listing() -> str:
    with context().database.reading(actor().scope) as db:
        rows = applications.newest(db)
        return render_template(
            "fleet/applications.html",
            rows=rows,
            asked=recaptures.by_answer(db, [row.packet_id for row in rows]),
            counts=applications.counts(db),
            held_up=outbox.held_up(db, "forward", [row.packet_id for row in rows]),
            undecided=applications.undecided(db, [row.packet_id for row in rows]),
            may_release=actor().may("release"),
        )


@blueprint.get("/applications/<packet_id>")
def show(packet_id: str) -> str:
    """Who had an application when, each step judged anew with what the fleet trusts."""
    with context().database.reading(actor().scope) as db:
        row = applications.one(db, packet_id)
        if row is None:
            abort(404)
        try:
            chain = custody.chain(db, packet_id)
        except Refused:  # the worker signs in a moment
            audit = None
        else:
            audit = custody.audit(chain, context().trust, custody.due(db, packet_id))
        return render_template(
            "fleet/application-one.html",
            row=row,
            asked=recaptures.by_answer(db, [packet_id]).get(packet_id),
            waits=outbox.held_up(db, "forward", [packet_id]).get(packet_id),
            undecided=applications.undecided(db, [packet_id]) and actor().may("decide"),
            told=custody.told(db, packet_id),
            audit=audit,
        )


@blueprint.get("/applications/<packet_id>/chain")
def chain(packet_id: str) -> ResponseReturnValue:
    """The chain as a file, for an auditor."""
    with context().database.reading(actor().scope) as db:
        try:
            found = custody.chain(db, packet_id)
        except Refused:
            abort(404)
    name = f'attachment; filename="custody-{found.packet_id}.json"'
    return Response(write_chain(found), mimetype="application/json", headers={"Content-Disposition": name})


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
