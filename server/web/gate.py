"""The one gate in front of every page: closed unless listed.

An endpoint is open to everybody (`OPEN`), or needs a power (`NEEDS`), or does not answer at all. Everything
that changes something must come from our own form, whoever asks.
"""

import hmac
import secrets
from datetime import timedelta

from flask import Flask, Response, abort, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from server.auth import csrf, sign_in
from server.auth.roles import Actor, Power
from server.web.context import context

OPEN = frozenset(
    {
        "look.static",
        "public.static",
        "public.request_form",
        "public.status_page",
        "door.enter",
        "health.alive",
        "health.ready",
        "openapi.spec",
    }
)
UNSEEN = frozenset({"look.static", "public.static", "health.alive", "health.ready"})  # who asks: no matter
NEEDS: dict[str, Power | None] = {
    "door.leave": None,  # signed in, whatever the role
    "dashboard.show": "see-fleet",
    "dashboard.events": "see-fleet",
    "kits.show": "see-fleet",
    "brokers.show": "see-metrics",
    "lists.show": "see-metrics",
    "brokers.revoke": "revoke",
    "kits.lost": "report-lost",
    "kits.found": "report-lost",
    "rosters.put": "manage-officers",
    "rosters.take": "manage-officers",
    "steering.give": "steer",
    "steering.cancel": "steer",
    "steering.wish": "steer",
    "applications.listing": "see-fleet",
    "applications.show": "see-fleet",
    "applications.chain": "see-fleet",
    "applications.release": "release",
    "incidents.listing": "see-fleet",
    "incidents.acknowledge": "acknowledge",
    "quarantine.listing": "decide",
    "quarantine.decide": "decide",
    "requests.listing": "see-requests",
    "requests.show": "see-requests",
    "requests.plan": "plan",
    "requests.unassign": "plan",
    "requests.hand_over": "plan",
    "health.metrics": "see-metrics",
    "api.kits": "see-fleet",
    "api.visits": "see-fleet",
    "api.applications": "see-fleet",
    "api.custody": "see-fleet",
    "api.requests": "see-requests",
}
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
VISITOR_LIFE = timedelta(hours=12)


def guard(app: Flask) -> None:
    """Set the gate before every request of `app`."""
    app.before_request(_judge)
    app.after_request(_give_visitor_cookie)
    app.jinja_env.globals["form_token"] = form_token


def cookie_name(kind: str) -> str:
    """With `__Host-` a browser takes the cookie only over HTTPS and only for this very host."""
    return f"__Host-{kind}" if context().secure_cookies else f"tl-{kind}"


def set_cookie(response: Response, kind: str, value: str, life: timedelta | None = None) -> None:
    response.set_cookie(
        cookie_name(kind),
        value,
        max_age=life,
        secure=context().secure_cookies,
        httponly=True,
        samesite="Strict",
        path="/",
    )


def form_token() -> str:
    """What a form carries: bound to the session or, for a visitor, to a cookie that means nothing else."""
    if not g.form_cookie:
        g.form_cookie = g.new_visitor = secrets.token_urlsafe(16)
    return csrf.token(context().form_secret, g.form_cookie)


def _judge() -> ResponseReturnValue | None:
    endpoint = request.endpoint
    session = request.cookies.get(cookie_name("session"), "")
    now = context().clock()
    g.actor = None
    if session and endpoint not in UNSEEN:
        # A stream only watches: it must not keep a session alive that nobody uses.
        g.actor = sign_in.who(context().database, session, now, touch=endpoint != "dashboard.events")
    g.form_cookie = session if g.actor else request.cookies.get(cookie_name("visitor"), "")
    g.new_visitor = ""
    if endpoint is None:
        return None  # no such page: the answer is 404, or 405
    if endpoint not in OPEN:
        refusal = _refusal(endpoint, g.actor)
        if refusal is not None:
            return refusal
    if request.method not in SAFE and not _from_our_form():
        abort(400, "form-expired")
    return None


def _refusal(endpoint: str, actor: Actor | None) -> ResponseReturnValue | None:
    if endpoint == "health.metrics" and _has_metrics_token():
        return None
    if endpoint not in NEEDS:
        abort(404)
    if actor is None:
        if request.path.startswith("/api/") or request.accept_mimetypes.best == "text/event-stream":
            abort(401)
        return redirect(url_for("door.enter"), 303)
    power = NEEDS[endpoint]
    if power is not None and not actor.may(power):
        abort(403)
    return None


def _from_our_form() -> bool:
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    given = request.headers.get("X-Form-Token") or request.form.get("form_token", "")
    return csrf.fits(context().form_secret, g.form_cookie, given)


def _has_metrics_token() -> bool:
    wanted = context().metrics_token
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if not wanted or scheme != "Bearer":
        return False
    return hmac.compare_digest(wanted, given.strip().encode())


def _give_visitor_cookie(response: Response) -> Response:
    if g.get("new_visitor"):
        set_cookie(response, "visitor", g.new_visitor, VISITOR_LIFE)
    return response
