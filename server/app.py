"""The pages as one WSGI application, wired here from the configuration and nowhere else."""

from pathlib import Path
from typing import Any

from apiflask import APIFlask
from flask import Response, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, ServiceUnavailable
from werkzeug.middleware.proxy_fix import ProxyFix

from look import face
from look.words import LANGUAGES, Words
from protocol import shapes
from server import trust
from server.db import schema
from server.db.engine import Database
from server.db.not_now import NOT_NOW, NotNow
from server.settings import Fleet
from server.web import (
    api,
    applications,
    brokers,
    dashboard,
    door,
    health,
    held,
    incidents,
    kits,
    lists,
    public,
    quarantine,
    reasons,
    requests,
    rosters,
    steering,
)
from server.web.context import Context, put
from server.web.gate import guard
from server.web.live import Live
from server.work import utc_now

WORDS = Path(__file__).with_name("web") / "words.toml"
LONGEST_FORM = 64 * 1024
_KNOWN = frozenset({400, 403, 404, 405, 409, 413, 429, 503})


def create_app(config: Fleet) -> APIFlask:
    """The pages. schema.NotMigrated when the database has another shape; trust.BadTrust."""
    shapes.work_out()
    database = Database(config.database_url)
    schema.check(database)
    fields = trust.field_key(config.keys)
    token = config.web.metrics_token
    app = _bare()
    face.mount(app, Words.load(WORDS), LANGUAGES, default=config.language)
    put(
        app,
        Context(
            database=database,
            fields=fields,
            form_secret=fields.derive("forms"),
            metrics_token=token.read_bytes().strip() if token else None,
            secure_cookies=config.web.secure_cookies,
            clock=utc_now,
            live=Live(database, utc_now),
            trust=trust.of_chains(config),
            services=config.services,
        ),
    )
    guard(app)
    app.register_error_handler(HTTPException, _answer_error)
    for kind in NOT_NOW:
        app.register_error_handler(kind, _answer_held)
    if config.web.secure_cookies:
        app.after_request(_only_https)
    if config.web.proxies:
        # Else all citizens would share the proxy's address, and its count of tries.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=config.web.proxies, x_proto=config.web.proxies
        )
    return app


def describe() -> dict[str, Any]:
    """The OpenAPI description of /api/v1, without a database."""
    app = _bare()
    with app.app_context():
        spec = app._get_spec("json")
    assert isinstance(spec, dict)
    return spec


def _bare() -> APIFlask:
    app = APIFlask(
        "server",
        title="Thuisloket fleet",
        version="1",
        spec_path="/api/v1/openapi.json",
        docs_path=None,
        json_errors=False,
        static_folder=None,  # type: ignore[arg-type] # Flask takes None; APIFlask's annotation is too narrow
    )
    app.config["MAX_CONTENT_LENGTH"] = LONGEST_FORM
    app.config["MAX_FORM_PARTS"] = 100
    app.config["HTTP_ERROR_SCHEMA"] = {
        "type": "object",
        "properties": {"error": {"type": "integer"}},
        "required": ["error"],
    }
    app.security_schemes = {
        "session": {"type": "apiKey", "in": "cookie", "name": "__Host-session", "description": "Signed in"}
    }
    for blueprint in (
        public.blueprint,
        door.blueprint,
        dashboard.blueprint,
        requests.blueprint,
        kits.blueprint,
        steering.blueprint,
        brokers.blueprint,
        lists.blueprint,
        applications.blueprint,
        incidents.blueprint,
        quarantine.blueprint,
        rosters.blueprint,
        health.blueprint,
        api.blueprint,
    ):
        app.register_blueprint(blueprint)
    app.jinja_env.globals["forwarding_reason"] = reasons.reason
    return app


def _answer_error(problem: HTTPException) -> ResponseReturnValue:
    code = problem.code or 500
    headers = {"Retry-After": str(held.AGAIN_S)} if code == ServiceUnavailable.code else {}
    if request.path.startswith("/api/"):
        return jsonify({"error": code}), code, headers
    g.setdefault("actor", None)
    g.setdefault("form_cookie", "")
    # The page without a message of the library's: it may repeat what was sent.
    return render_template("fleet/error.html", code=code if code in _KNOWN else 500), code, headers


def _answer_held(problem: NotNow) -> ResponseReturnValue:
    held.tell(problem)
    return _answer_error(ServiceUnavailable())


def _only_https(response: Response) -> Response:
    response.headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    return response
