"""Logs: one JSON object a line on stderr, through one redaction that lets only ids, codes and figures pass.

A value that could be a name, a number of a person, an address or free text is replaced, whoever logged it:
what is not known to be harmless is not written.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from protocol.ids import is_ulid

HIDDEN = "[hidden]"
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/|+-]{0,99}")
_MANY_DIGITS = re.compile(r"(?<![0-9a-f])[0-9][0-9 .-]{7,}[0-9](?![0-9a-f])")  # telephone, national number
_FREE = frozenset({"event", "level", "timestamp", "exception", "logger"})


def redact(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep numbers, booleans, and single words that are no long run of digits."""
    del logger, method
    return {key: value if key in _FREE else _harmless(value) for key, value in event.items()}


def _harmless(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    if is_ulid(text) or (_WORD.fullmatch(text) and not _MANY_DIGITS.search(text)):
        return text
    return HIDDEN


def set_up(program: str) -> None:
    """Send structlog's and other libraries' warnings to stderr, as JSON. Call once, at the start."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _places_only,
            redact,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(program=program)
    logging.basicConfig(level=logging.WARNING, handlers=[_Libraries()], force=True)


def _places_only(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Of an exception, its type and where it happened: the message may hold the values of a row."""
    del logger, method
    problem = event.pop("exc_info", None)
    if isinstance(problem, BaseException):
        trace, places = problem.__traceback__, []
        while trace is not None:
            code = trace.tb_frame.f_code
            places.append(f"{code.co_filename.rpartition('site-packages/')[2]}:{trace.tb_lineno}")
            trace = trace.tb_next
        event["exception"] = f"{type(problem).__module__}.{type(problem).__qualname__}"
        event["logger"] = " ".join(places[-12:])
    return event


class _Libraries(logging.Handler):
    """What a library logs: its name, level, and the type of an exception; never its text."""

    def emit(self, record: logging.LogRecord) -> None:
        problem = record.exc_info[1] if record.exc_info else None
        structlog.get_logger().warning("library", source=record.name, line=record.lineno, exc_info=problem)
