"""The kiosk as a Flask app: the officer's and the citizen's screens, on loopback, asking only the desk.

Doors, for pages and for programs alike. Forms are `application/x-www-form-urlencoded`; every POST carries the
hidden field `csrf`, which `GET /desk` gives too, and which changes with the cookie at each unlock. A program
that sends `Accept: application/json` gets `{"done": true}` or `{"done": false, "code", "remedy"}`; a page is
sent on to `/`.

| door | fields | what it does |
|---|---|---|
| `GET /` | | the screen that is due |
| `GET /desk?after=VERSION` | | waits up to 20 s for something newer; see `desk.py` |
| `POST /unlock` | officer, pin | the only way in; the cookie changes |
| `POST /unlock/card` | officer | look at the own eID of an officer who signs in with it too |
| `POST /unlock/card/enter` | pin, entry, last_try=yes | its PIN, once; then `/unlock` within a minute |
| `POST /unlock/card/stop` | | back to the officers |
| `POST /lock` | | |
| `POST /pin` | old, pin, again | another PIN; `GET` shows the form |
| `GET /forgotten/<officer>` | | what to read out to the administrator, and the form for the code |
| `POST /forgotten` | officer, code, pin, again | take the code, once |
| `POST /key` | client_data, attestation_object | a security key registered; `GET` shows what it is asked |
| `POST /newcomers` | officer, code, pin, again | let a colleague in; `GET` shows who may be |
| `POST /language` | language, who=officer\\|citizen | |
| `POST /visits/<id>/open` | | |
| `POST /leave` | | back to the list |
| `POST /step/card/read` | | |
| `POST /step/card/seen` | | this is the person (only the screen asks) |
| `POST /step/card/waive` | reason, document | go on without a card; `GET` shows the form |
| `POST /step/inform` | aloud=yes or absent | |
| `POST /step/possession/ask` | | what the card says of its PIN; `pin` in `GET /desk` |
| `POST /step/possession/enter` | pin, entry, last_try=yes | one entry, to the card once; `entry` is used up |
| `POST /step/possession/except` | reason | go on without; `GET` shows the form |
| `POST /step/procedure` | procedure | |
| `POST /step/photo/take` | | |
| `POST /step/photo/keep` | | the photo is good (only the screen asks) |
| `POST /step/photo/redo` | | |
| `POST /step/fingers/take` | hand, finger | |
| `POST /step/fingers/except` | hand, fingers=one\\|all, reason, lasting, attest_seen=yes, confirm=yes | (1) |
| `POST /step/signature/start` | | |
| `POST /step/signature/done` | | |
| `POST /step/signature/except` | reason | `GET` shows the form |
| `POST /step/review/confirm` | | |
| `POST /step/seal` | by=key or absent | with the security key: `key` in `GET /desk` is what it is asked |
| `POST /step/seal/key` | authenticator_data, client_data, signature | its answer, each in base64url |
| `POST /redo/<step>` | hand (optional, of fingers) | take a step back |
| `POST /abandon` | reason | `GET` shows the form |
| `POST /cancel` | | stop the capture that runs |
| `POST /courier` | | which sticks are in; `courier` in `GET /desk` |
| `POST /courier/export` `POST /courier/import` | stick | carry everything to it, or in from it |
| `POST /courier/close` | | back to the list |
| `POST /sending/now` | | send what waits without waiting; `GET /sending` shows it |
| `POST /dismiss` | | the failure has been read |
| `GET /preview.jpg` `GET /ink.svg` `GET /part/<record>` | | pictures of the open visit |

(1) A page without `confirm` is told what it means first; a program is not asked twice. `GET ?hand=` shows
the form.
"""

from functools import cache
from pathlib import Path

from flask import Flask, g, make_response, render_template
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

import look
from device.agent.front import Front
from device.errors import Code, KitError, Refused, Remedy
from device.kiosk import courier, guard, officer, pictures, possession, screens, steps, ways
from device.kiosk.browser import Answer, Browsers
from device.kiosk.desk import Desk, present
from device.kiosk.forms import Incomplete
from device.kiosk.place import CITIZENS
from device.kiosk.saying import Saying
from device.ports import Clock

WORDS = Path(__file__).with_name("words.toml")


@cache
def words() -> look.Words:
    """All texts of the kiosk."""
    return look.Words.load(WORDS)


def create_kiosk(front: Front, language: str, clock: Clock) -> Flask:
    """The app, to be served on loopback with at least eight threads (each follower of the desk holds one).

    `language` is the officer's until another is chosen, by the fleet or at the screen.
    """
    app = Flask(__name__)
    texts = words()
    desk = Desk(front, clock, Browsers())
    app.extensions["desk"] = desk

    guard.mount(app, desk.browsers)
    look.mount(app, texts, default=lambda: front.now().language or language, choose=_citizens_language)
    Saying(texts).mount(app)
    for blueprint in (
        *(screens.screens, officer.officer, steps.steps, steps.redo),
        *(possession.possession, ways.ways, courier.courier, pictures.pictures),
    ):
        app.register_blueprint(blueprint)

    app.register_error_handler(Refused, _refused)
    app.register_error_handler(KitError, _failed)
    app.register_error_handler(Incomplete, _incomplete)
    app.register_error_handler(HTTPException, _impossible)
    return app


def _citizens_language() -> str | None:
    if "browser" not in g:
        return None
    here = present()
    if here.place.name in CITIZENS:
        return here.citizens_language()
    return None


def _refused(refusal: Refused) -> Response:
    return guard.answered(Answer(refusal.code, Remedy.OFFICER), 409)


def _failed(failure: KitError) -> Response:
    waits = failure.code in (Code.CARD_NEEDED, Code.WRONG_PIN, Code.TOO_MANY_TRIES, Code.UNKNOWN_OFFICER)
    return guard.answered(Answer(failure.code, failure.remedy), 403 if waits else 503, *ways.asked_again())


def _incomplete(form: Incomplete) -> Response:
    return guard.answered(Answer("incomplete", Remedy.OFFICER), 400, form.page)


def _impossible(problem: HTTPException) -> Response:
    return make_response(render_template("kiosk/problem.html"), problem.code or 500)
