"""One kit: what it last said of itself, its visits of today and its applications."""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from protocol.command import ACTIONS
from protocol.desired import BOUNDS, WORDS
from protocol.messages import moment
from server.fleet import (
    abilities,
    holdings,
    jobs,
    kits,
    leases,
    obstacles,
    overview,
    renewals,
    revocations,
    rosters,
    twins,
    visits,
    ways,
)
from server.fleet.refused import Refused
from server.web.context import actor, context

blueprint = Blueprint("kits", __name__)
SAID_NO = frozenset(
    {
        *("kit-retired", "unknown-action", "bad-end", "too-many-jobs", "job-begun"),
        *("unknown-setting", "setting-out-of-range"),
    }
)
"""Why a job or a setting was not taken, as the page says it."""


@blueprint.get("/kits/<kit_id>")
def show(kit_id: str) -> str:
    now = context().clock()
    with context().database.reading(actor().scope) as db:
        try:
            kit = kits.visible_one(db, kit_id)
        except Refused:
            abort(404)
        health, birth = abilities.said(kit)
        line = overview.kit_line(kit, leases.closing(db).get(kit_id))
        drafts = {kit_id: line.draft_since} if line.draft_since else {}
        return render_template(
            "fleet/kit.html",
            kit=kit,
            line=line,
            oldest=holdings.oldest(db).by_kit(drafts).get(kit_id),
            birth=birth,
            until=moment(birth.certificate_until) if birth else None,
            certificates=renewals.lines(db, kit_id, now),
            models={device.name: device.model for device in birth.peripherals} if birth else {},
            health=health,
            visits=overview.visit_lines(db, visits.local_day(now), kit_id),
            obstacles=obstacles.ahead(db, now, kit_id),
            ahead=visits.ahead(db, kit_id, now),
            applications=overview.of_kit(db, kit_id),
            revocation=revocations.standing(db, kit_id),
            may_revoke=actor().may("revoke") and kit.retired is None,
            ways=ways.newest(db, kit_id),
            may_report=actor().may("report-lost"),
            roster=rosters.lines(db, kit_id, now),
            others=rosters.others(db, kit_id) if actor().may("manage-officers") else (),
            may_manage=actor().may("manage-officers") and kit.retired is None,
            jobs=jobs.of_kit(db, kit_id),
            actions=ACTIONS,
            twin=twins.standing(db, kit_id),
            bounds=BOUNDS,
            words=WORDS,
            may_steer=actor().may("steer") and kit.retired is None,
            no=request.args.get("no") if request.args.get("no") in SAID_NO else None,
            now=now,
        )


@blueprint.post("/kits/<kit_id>/lost")
def lost(kit_id: str) -> ResponseReturnValue:
    return _report(kit_id, kits.missing)


@blueprint.post("/kits/<kit_id>/found")
def found(kit_id: str) -> ResponseReturnValue:
    return _report(kit_id, kits.found)


def _report(kit_id: str, note: Callable[[Session, str, datetime], None]) -> ResponseReturnValue:
    """Only of a kit that the actor may see."""
    with context().database.writing(actor().scope) as db:
        try:
            kits.visible_one(db, kit_id)
            note(db, kit_id, context().clock())
        except Refused:
            abort(404)
    return redirect(url_for("kits.show", kit_id=kit_id), 303)
