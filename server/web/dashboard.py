"""The dashboard and the stream that keeps it up to date."""

import json
from collections.abc import Iterator

from flask import Blueprint, Response, g, render_template, request, stream_with_context

from server.auth import sign_in
from server.auth.roles import Actor
from server.fleet import broker_health
from server.fleet.overview import Overview
from server.web import lists
from server.web.context import actor, context
from server.web.gate import cookie_name

blueprint = Blueprint("dashboard", __name__)
PARTS = ("kits", "visits", "applications")
HEARTBEAT_S = 10.0


@blueprint.get("/")
def show() -> str:
    overview = context().live.look(actor().scope)
    broker_red = list_ends = False
    if actor().may("see-metrics"):
        with context().database.reading(actor().scope) as db:
            broker_red = bool(broker_health.results(db) and broker_health.verdict(db, context().clock()))
        list_ends = lists.ending(context().clock())
    return render_template(
        "fleet/dashboard.html", parts=_render(overview), broker_red=broker_red, list_ends=list_ends
    )


@blueprint.get("/events")
def events() -> Response:
    """`event: parts`: JSON of HTML by part, those that changed. `event: over`: the session has ended."""
    token = request.cookies.get(cookie_name("session"), "")
    stream = stream_with_context(_events(actor(), token))
    response = Response(stream, mimetype="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _events(watcher: Actor, token: str) -> Iterator[str]:
    live, shown, version = context().live, dict[str, str](), 0
    live.enter(watcher.scope)
    try:
        yield "retry: 2000\n\n"
        while True:
            sight = live.after(watcher.scope, version, HEARTBEAT_S)
            if sight is None:
                if sign_in.who(context().database, token, context().clock(), touch=False) is None:
                    yield "event: over\ndata: {}\n\n"
                    return
                yield ": still here\n\n"
                continue
            version = sight.version
            parts = _render(sight.overview)
            changed = {name: words for name, words in parts.items() if shown.get(name) != words}
            shown = parts
            if changed:
                yield f"event: parts\ndata: {json.dumps(changed)}\n\n"
    finally:
        live.leave(watcher.scope)


def _render(overview: Overview) -> dict[str, str]:
    now = context().clock()
    return {
        part: render_template(f"fleet/part-{part}.html", overview=overview, now=now, actor=g.actor)
        for part in PARTS
    }
