"""The list of who may open a kit: an officer put on it or taken off it, from the page of the kit."""

from typing import Annotated

import msgspec
from flask import Blueprint, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from server.db.scope import EVERYONE
from server.fleet import kits, rosters
from server.fleet.refused import Refused
from server.web.context import actor, context

blueprint = Blueprint("rosters", __name__)


class _Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    officer: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.-]{2,40}\Z")]


@blueprint.post("/kits/<kit_id>/officers")
def put(kit_id: str) -> ResponseReturnValue:
    officer_id = _officer()
    with context().database.writing(actor().scope) as db:
        try:
            kits.visible_one(db, kit_id)
            rosters.put(db, kit_id, officer_id, context().clock())
        except Refused:
            abort(404)
    return _back(kit_id)


@blueprint.post("/kits/<kit_id>/officers/remove")
def take(kit_id: str) -> ResponseReturnValue:
    officer_id = _officer()
    with context().database.reading(EVERYONE) as db:  # of all municipalities: somebody must be left
        last = rosters.is_last(db, kit_id, officer_id)
    with context().database.writing(actor().scope) as db:
        try:
            kits.visible_one(db, kit_id)
            rosters.take(db, kit_id, officer_id, context().clock(), last=last)
        except Refused as problem:
            abort(409 if problem.code == "last-officer" else 404)
    return _back(kit_id)


def _officer() -> str:
    fields = {name: value for name, value in request.form.items() if name != "form_token"}
    try:
        return msgspec.convert(fields, _Form).officer
    except msgspec.ValidationError:
        abort(400)


def _back(kit_id: str) -> ResponseReturnValue:
    return redirect(url_for("kits.show", kit_id=kit_id, _anchor="officers"), 303)
