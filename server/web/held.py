"""What an HTTP caller hears when the database cannot do it just now: nothing was done, come again."""

import structlog
from flask import jsonify
from flask.typing import ResponseReturnValue

from server.db import not_now
from server.db.not_now import NotNow

AGAIN_S = 15

log = structlog.get_logger()


def answer(problem: NotNow) -> ResponseReturnValue:
    """For programs."""
    tell(problem)
    return jsonify({"error": not_now.why(problem)}), 503, {"Retry-After": str(AGAIN_S)}


def tell(problem: NotNow) -> None:
    log.error("not now", why=not_now.why(problem), **not_now.told(problem))
