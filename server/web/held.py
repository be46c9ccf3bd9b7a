"""What an HTTP caller hears when SQLite's one writer was held for too long: nothing was done, come again."""

import structlog
from flask import jsonify
from flask.typing import ResponseReturnValue

from server.db.queueing import WriterHeld

AGAIN_S = 15

log = structlog.get_logger()


def answer(problem: WriterHeld) -> ResponseReturnValue:
    """For programs."""
    tell(problem)
    return jsonify({"error": "writer-held"}), 503, {"Retry-After": str(AGAIN_S)}


def tell(problem: WriterHeld) -> None:
    log.error("writer held", **problem.told)
