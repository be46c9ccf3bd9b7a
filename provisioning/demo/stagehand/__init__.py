"""The page beside the kiosk that is the hands of officer and citizen, and their bad luck.

A tool of the demo alone: it answers on loopback, to forms from its own page.
"""

import re
import secrets
from collections.abc import Callable
from hmac import compare_digest
from pathlib import Path

from flask import Flask, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

import look
from provisioning.demo.stagehand.acts import Acts

HERE = Path(__file__).parent
LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?")
LARGEST_BODY = 2_048


def create_stage(acts: Acts, addresses: dict[str, str], running: Callable[[str], bool]) -> Flask:
    """The page. `addresses` are links to the other pages; `running` says whether a program is up."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    look.mount(app, look.Words.load(HERE / "words.toml"), default="nl")
    token = secrets.token_urlsafe(24)
    said: list[tuple[str, str, str]] = []  # key of the act, its argument, what went wrong

    @app.before_request
    def only_from_here() -> None:
        if not LOOPBACK.fullmatch(request.headers.get("Host", "")):
            abort(421)
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            abort(403)

    @app.get("/")
    def show() -> str:
        return render_template(
            "stagehand/page.html",
            acts=acts,
            addresses=addresses,
            running=running,
            said=said[-1] if said else None,
            csrf=token,
        )

    @app.post("/act")
    def act() -> Response:
        if not compare_digest(token.encode(), request.form.get("csrf", "").encode()):
            abort(403)
        group, _, argument = request.form.get("act", "").partition(":")
        if not acts.knows(group, argument):
            abort(404)
        said[:] = [(group, argument, acts.do(group, argument))]
        return redirect(url_for("show"), 303)

    return app
