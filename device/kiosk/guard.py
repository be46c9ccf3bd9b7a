"""Who may ask the kiosk anything: this machine's own browser, with a form from its own page.

Against other pages and names that point at loopback: the Host must be loopback, a form must come from our
origin and carry the browser's secret, and everything but the unlock screen belongs to the browser that gave
the PIN.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from flask import Flask, Response, abort, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from device.errors import Code, Remedy
from device.kiosk.browser import COOKIE, Answer, Browser, Browsers

LARGEST_BODY = 8_192  # bytes; the longest form is far smaller
OPEN = frozenset(
    {
        *("screens.index", "screens.desk", "officer.unlock", "officer.language"),
        *("officer.show_card", "officer.enter_pin", "officer.hide_card"),
        *("ways.forgotten", "ways.forgotten_of", "ways.recover", "ways.changed"),  # who has no PIN
    }
)
STATIC = frozenset({"look.static", "static"})

_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?")


def mount(app: Flask, browsers: Browsers) -> None:
    """Put the guard before every request of `app`; `g.browser` is who asks, `g.holder` whether it holds."""
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.config["MAX_FORM_MEMORY_SIZE"] = LARGEST_BODY
    app.config["MAX_FORM_PARTS"] = 20

    def admit() -> BaseResponse | None:
        if not _LOOPBACK.fullmatch(request.headers.get("Host", "")):
            abort(421)
        if request.endpoint in STATIC:
            return None
        g.browser = browsers.known(request.cookies.get(COOKIE, "")) or browsers.new()
        g.holder = browsers.holds(g.browser)
        if request.method == "POST":
            _must_be_ours(g.browser)
            g.browser.answer = None
        if g.holder or request.endpoint in OPEN or request.endpoint is None:
            return None
        if request.method == "POST":
            return answered(Answer(Code.LOCKED, Remedy.OFFICER), 403)
        if request.path.rpartition(".")[2] in ("jpg", "svg"):
            abort(403)
        return redirect(url_for("screens.index"), 303)

    def remember(response: Response) -> Response:
        browser: Browser | None = g.get("browser")
        if browser and request.cookies.get(COOKIE) != browser.token:
            response.set_cookie(COOKIE, browser.token, httponly=True, samesite="Strict")
        return response

    app.before_request(admit)
    app.after_request(remember)


def answered(
    answer: Answer, status: int, back: str = "screens.index", values: Mapping[str, str] | None = None
) -> BaseResponse:
    """Say no to a form: a program gets the code, a person goes back to the screen, which shows the words."""
    if wants_json():
        return Response(
            f'{{"done":false,"code":"{answer.code}","remedy":"{answer.remedy}"}}\n',
            status,
            mimetype="application/json",
        )
    g.browser.answer = answer
    return redirect(url_for(back, **cast(Any, dict(values or {}))), 303)


def done() -> BaseResponse:
    """Say yes to a form."""
    if wants_json():
        return Response('{"done":true}\n', mimetype="application/json")
    return redirect(url_for("screens.index"), 303)


def wants_json() -> bool:
    """Whether a program asks, not a page."""
    return request.headers.get("Accept", "") == "application/json"


def _must_be_ours(browser: Browser) -> None:
    origin = request.headers.get("Origin")
    if origin is not None and origin != request.host_url.rstrip("/"):
        abort(403)
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        abort(403)
    if request.mimetype != "application/x-www-form-urlencoded":
        abort(415)
    if not browser.sent_by(request.form.get("csrf", "")):
        abort(403)
