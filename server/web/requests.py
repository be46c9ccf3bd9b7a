"""Citizens' requests for those who plan: the list, one request, and giving it to an officer and a kit."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from protocol.lifecycle import VisitState
from server.db.tables import Kit, Visit
from server.fleet import (
    abilities,
    kits,
    obstacles,
    officers,
    persons,
    quarantine,
    recaptures,
    requests,
    visits,
)
from server.fleet.refused import Refused
from server.web.context import actor, context

blueprint = Blueprint("requests", __name__)
MINUTES, SHORT = (30, 45, 60, 90), (15, 30, 45)


@blueprint.get("/requests")
def listing() -> str:
    with context().database.reading(actor().scope) as db:
        rows = requests.listed(db, context().fields, actor())
        stopped = obstacles.ahead(db, context().clock())
    return render_template("fleet/requests.html", rows=rows, obstacles=stopped)


@blueprint.get("/requests/<request_id>")
def show(request_id: str) -> ResponseReturnValue:
    return _page(request_id, {}, "")


@blueprint.post("/requests/<request_id>/plan")
def plan(request_id: str) -> ResponseReturnValue:
    given = {name: request.form.get(name, "")[:64] for name in ("officer", "kit", "day", "time", "minutes")}
    try:
        day, clock = date.fromisoformat(given["day"]), time.fromisoformat(given["time"])
        minutes = int(given["minutes"])
    except ValueError:
        return _page(request_id, given, "bad-time"), 422
    try:
        with context().database.writing(actor().scope) as db:
            visits.plan(
                db,
                actor(),
                request_id,
                given["officer"],
                given["kit"],
                datetime.combine(day, clock.replace(tzinfo=None), visits.ZONE),
                minutes,
                context().clock(),
            )
    except Refused as problem:
        if problem.code == "unknown-request":
            abort(404)
        return _page(request_id, given, problem.code), 409
    return redirect(url_for("requests.show", request_id=request_id), 303)


@blueprint.post("/visits/<visit_id>/unassign")
def unassign(visit_id: str) -> ResponseReturnValue:
    return _change(visit_id, lambda db: visits.unassign(db, actor(), visit_id, context().clock()))


@blueprint.post("/visits/<visit_id>/hand-over")
def hand_over(visit_id: str) -> ResponseReturnValue:
    kit_id = request.form.get("kit", "")[:64]
    return _change(visit_id, lambda db: visits.hand_over(db, actor(), visit_id, kit_id, context().clock()))


def _change(visit_id: str, change: Callable[[Session], Visit]) -> ResponseReturnValue:
    try:
        with context().database.writing(actor().scope) as db:
            visit = change(db)
    except Refused as problem:
        if problem.code == "unknown-visit":
            abort(404)
        with context().database.reading(actor().scope) as db:
            request_id = visits.request_of(db, visit_id)
        return _page(request_id, {}, problem.code), 409
    return redirect(url_for("requests.show", request_id=visit.request_id), 303)


def _page(request_id: str, given: dict[str, str], problem: str) -> str:
    now = context().clock()
    with context().database.reading(actor().scope) as db:
        try:
            opened = requests.opened(db, context().fields, actor(), request_id)
        except Refused:
            abort(404)
        tenant = opened.request.tenant
        there_were = visits.of_request(db, request_id)
        there = officers.of_tenant(db, tenant)
        cases = kits.serving(db, tenant)
        return render_template(
            "fleet/request-one.html",
            row=opened,
            birth=date.fromisoformat(opened.person.birth_date),
            number=_spelled(opened.person.national_number),
            visits=there_were,
            officers=there,
            officer_names={officer.officer_id: officer.name for officer in there},
            kits=cases,
            openers=obstacles.openers(db, cases),
            stopped=problem in obstacles.STOPS,
            obstacles=obstacles.of_visits(db, there_were, now),
            plannable=visits.plannable(opened.request) and actor().may("plan"),
            given=given,
            problem=problem,
            minutes=SHORT if opened.again else MINUTES,
            missing=persons.missing(opened.person) if opened.again else (),
            parts=recaptures.parts_of(db, there_were),
            kept_back=_kept_back(db, there_were),
            done_by_others=quarantine.of_visits(db, [visit.visit_id for visit in there_were]),
            today=visits.local_day(now),
            default_day=visits.local_day(now + timedelta(days=1)),
        )


def _kept_back(db: Session, planned: list[Visit]) -> dict[str, str]:
    """By visit id, why its kit is not sent a visit that is still to be made."""
    of = [(visit, db.get_one(Kit, visit.kit_id)) for visit in planned if visit.state == VisitState.PLANNED]
    return {visit.visit_id: why for visit, kit in of if (why := abilities.held_back(kit, visit))}


def _spelled(number: str) -> str:
    """A national number as the card has it: 85.07.30-033.28."""
    if not number:
        return ""
    return f"{number[:2]}.{number[2:4]}.{number[4:6]}-{number[6:9]}.{number[9:]}"
