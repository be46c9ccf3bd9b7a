"""One kit: what it last said of itself, its visits of today and its applications."""

from flask import Blueprint, abort, render_template

from protocol.messages import moment
from server.fleet import holdings, kits, overview, revocations, visits
from server.fleet.refused import Refused
from server.web.context import actor, context

blueprint = Blueprint("kits", __name__)


@blueprint.get("/kits/<kit_id>")
def show(kit_id: str) -> str:
    now = context().clock()
    with context().database.reading(actor().scope) as db:
        try:
            kit = kits.visible_one(db, kit_id)
        except Refused:
            abort(404)
        health, birth = overview.said(kit)
        line = overview.kit_line(kit)
        drafts = {kit_id: line.draft_since} if line.draft_since else {}
        return render_template(
            "fleet/kit.html",
            kit=kit,
            line=line,
            oldest=holdings.oldest(db).by_kit(drafts).get(kit_id),
            birth=birth,
            until=moment(birth.certificate_until) if birth else None,
            models={device.name: device.model for device in birth.peripherals} if birth else {},
            health=health,
            visits=overview.visit_lines(db, visits.local_day(now), kit_id),
            applications=overview.of_kit(db, kit_id),
            revocation=revocations.standing(db, kit_id),
            may_revoke=actor().may("revoke") and kit.retired is None,
            now=now,
        )
