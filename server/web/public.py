"""What citizens and those who help them see: the request form and where a request stands."""

from datetime import timedelta

from flask import Blueprint, g, render_template, request
from flask.typing import ResponseReturnValue

from server.auth import throttle
from server.db.scope import EVERYONE
from server.fleet import drafts, requests, status, visits
from server.fleet.refused import Invalid, Refused
from server.web.context import context

blueprint = Blueprint(
    "public", __name__, template_folder="templates", static_folder="static", static_url_path="/static"
)
FORMS, WINDOW = 40, timedelta(hours=1)  # from one address: a care home sends several in a row
SHOWN = tuple(field for field in drafts.FIELDS if field != "service_id")


@blueprint.route("/aanvraag", methods=["GET", "POST"])
def request_form() -> ResponseReturnValue:
    if request.method == "GET":
        return _form({"language": g.language, "half_days": []}, {})
    given: dict[str, object] = {
        name: value for name, value in request.form.items() if name not in ("form_token", "half_days")
    }
    given["half_days"] = request.form.getlist("half_days")
    now = context().clock()
    with context().database.writing(EVERYONE) as db:
        free = throttle.take(db, "request", request.remote_addr or "", FORMS, WINDOW, now)
    if not free:
        return _form(given, {"": "throttled"}), 429
    try:
        draft = drafts.read(given, visits.local_day(now))
        with context().database.writing(EVERYONE) as db:
            made = requests.make(db, context().fields, draft, now)
    except Invalid as problem:
        return _form(given, problem.errors), 422
    groups = [made.code[start : start + 4] for start in range(0, len(made.code), 4)]
    return render_template("fleet/request-made.html", code=" ".join(groups)), 201


@blueprint.route("/status", methods=["GET", "POST"])
def status_page() -> ResponseReturnValue:
    if request.method == "GET":
        return render_template("fleet/status.html", state="", problem="")
    code = request.form.get("code", "")[:64]
    try:
        with context().database.writing(EVERYONE) as db:
            state = status.ask(db, code, request.remote_addr or "", context().clock())
            way = status.way(db, code)
    except Refused as problem:
        return render_template("fleet/status.html", state="", problem=problem.code), 429
    if state is None:
        return render_template("fleet/status.html", state="", problem="unknown-code"), 404
    return render_template("fleet/status.html", state=state, way=way, problem="")


def _form(given: dict[str, object], errors: dict[str, str]) -> str:
    return render_template(
        "fleet/request.html",
        given=given,
        errors={name: code for name, code in errors.items() if name in SHOWN},
        other_errors=[code for name, code in errors.items() if name not in SHOWN],
        order=[name for name in SHOWN if name in errors],
        options=drafts,
    )
