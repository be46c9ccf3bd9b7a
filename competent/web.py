"""The reference service over HTTP: POST an application, ask for its answer, count, and give orders.

Bodies are bounded, answers are JSON, and nothing of a person is in either.
"""

import hmac
import math
import socket
import ssl
import time
from dataclasses import asdict
from typing import Any

import msgspec
from cryptography import x509
from flask import Flask, Response, abort, jsonify, request
from werkzeug.exceptions import HTTPException

from competent.intake import AnotherKey, Intake
from competent.ledger import Application
from protocol import shapes
from protocol.identity import BadIdentity, Role, role_of
from protocol.ids import is_ulid
from protocol.sealed.outer import LARGEST
from protocol.sealed.packet import BadPacket

LONGEST_DELAY_S = 300  # what Retry-After says at most


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`behaviour` as `read_behaviour` takes it, for the next `times` new applications."""

    behaviour: str
    times: int = 1


def create_app(intake: Intake, control_token: str, mutual_tls: bool) -> Flask:
    """The WSGI application. With `mutual_tls` a client must have shown the certificate of an `ingest`."""
    shapes.work_out()
    app = Flask("competent")
    app.config["MAX_CONTENT_LENGTH"] = LARGEST

    @app.before_request
    def know_the_client() -> None:
        if mutual_tls and _peer_role() is not Role.INGEST:
            abort(403, "certificate-role")

    @app.post("/v1/applications")
    def take() -> Response:
        key = request.headers.get("Idempotency-Key", "")
        if not is_ulid(key):
            abort(422, "idempotency-key")
        try:
            application, behaviour = intake.take(key, request.get_data(cache=False))
        except AnotherKey:
            abort(422, "idempotency-key")
        except BadPacket as refusal:
            abort(422, str(refusal.code))
        app.logger.info("application %s: %s %s", key, application.verdict, behaviour.kind)
        if behaviour.kind == "lose":
            _hang_up()
        return _answer(application)

    @app.get("/v1/applications/<packet_id>")
    def ask(packet_id: str) -> Response:
        application = intake.ledger.find(packet_id) if is_ulid(packet_id) else None
        if application is None:
            abort(404, "unknown-application")
        return _answer(application)

    @app.get("/v1/count")
    def count() -> Response:
        return jsonify(asdict(intake.ledger.count()))

    @app.post("/control")
    def control() -> tuple[str, int]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request.remote_addr not in ("127.0.0.1", "::1"):
            abort(404, "not-here")
        if not hmac.compare_digest(token.encode(), control_token.encode()):
            abort(403, "control-token")
        try:
            order = msgspec.json.decode(request.get_data(cache=False), type=Order)
            if not 1 <= order.times <= 1000:
                raise ValueError("times")
            intake.ledger.order(order.behaviour, order.times)
        except (ValueError, msgspec.DecodeError):
            abort(422, "order")
        return "", 204

    @app.errorhandler(HTTPException)
    def refuse(problem: HTTPException) -> Response:
        response = jsonify(error=problem.description if (problem.code or 500) < 500 else "internal")
        response.status_code = problem.code or 500
        return response

    return app


def _answer(application: Application) -> Response:
    left = application.answer_from - time.time()
    if left > 0:
        response = Response(status=202)
        response.headers["Retry-After"] = str(min(math.ceil(left), LONGEST_DELAY_S))
        return response
    return jsonify(receipt=application.receipt)


def _peer_role() -> Role | None:
    connection: Any = request.environ.get("gunicorn.socket")
    der = connection.getpeercert(True) if isinstance(connection, ssl.SSLSocket) else None
    try:
        return role_of(x509.load_der_x509_certificate(der))[0] if der else None
    except BadIdentity:
        return None


def _hang_up() -> None:
    """Close the connection under the answer's feet: the application is entered, the client hears nothing."""
    connection: Any = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)
