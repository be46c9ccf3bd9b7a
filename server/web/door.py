"""Signing in and out."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.auth import sign_in
from server.web.context import context
from server.web.gate import cookie_name, set_cookie

blueprint = Blueprint("door", __name__)


@blueprint.route("/sign-in", methods=["GET", "POST"])
def enter() -> ResponseReturnValue:
    if request.method == "GET":
        return render_template("fleet/sign-in.html", name="", problem="")
    name = request.form.get("name", "").strip().lower()[:64]
    password = request.form.get("password", "")
    try:
        token, _ = sign_in.sign_in(
            context().database, name, password, request.remote_addr or "", context().clock()
        )
    except sign_in.SignInFailed as problem:
        status = 429 if problem.code == "throttled" else 403
        return render_template("fleet/sign-in.html", name=name, problem=problem.code), status
    _forget()
    response = make_response(redirect(url_for("dashboard.show"), 303))
    set_cookie(response, "session", token)
    return response


@blueprint.post("/sign-out")
def leave() -> Response:
    _forget()
    response = make_response(redirect(url_for("door.enter"), 303))
    response.delete_cookie(
        cookie_name("session"), secure=context().secure_cookies, httponly=True, samesite="Strict"
    )
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


def _forget() -> None:
    """End the session this browser brought, so that a token never outlives a sign-in or sign-out."""
    token = request.cookies.get(cookie_name("session"))
    if token:
        sign_in.sign_out(context().database, token)
