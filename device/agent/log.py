"""Logs of the kit: one JSON object a line on stderr, with ids, codes, digests and numbers, and nothing else.

A key that is not listed here is withheld, whatever it holds: a log line is the easiest way for a name to
leave the kit. Messages of libraries keep their template and lose their arguments.
"""

import logging
import re
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

ALLOWED = frozenset(
    {
        *("event", "level", "timestamp", "logger"),
        *("visit", "packet", "kit", "officer", "service", "message", "bag", "version", "program"),
        *("code", "remedy", "kind", "place", "state", "step", "what", "problem", "topic", "reason"),
        *(
            "worker",
            "driver",
            "model",
            "port",
            "bytes",
            "count",
            "share",
            "seconds",
            "ms",
            "offset",
            "status",
        ),
        *("digest", "session", "generation", "attempt", "signal", "language", "detail"),
    }
)
WITHHELD = "[withheld]"

_LONGEST = 300
_NATIONAL_NUMBER = re.compile(r"(?<!\d)\d{2}[. ]?\d{2}[. ]?\d{2}[- ]?\d{3}[. ]?\d{2}(?!\d)")


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Keeps the listed keys, with plain and short values, and nothing that looks like a national number."""
    return {key: _plain(value) if key in ALLOWED else WITHHELD for key, value in event.items()}


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _NATIONAL_NUMBER.sub(WITHHELD, value)[:_LONGEST]
    return WITHHELD


def set_level(name: str) -> None:
    """The least important line that is written from now on: info, warning or error."""
    least = logging.getLevelNamesMapping()[name.upper()]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(least))


def configure(to: TextIO | None = None) -> None:
    """For the whole process, once, before anything is logged."""
    out = to or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[structlog.typing.Processor] = [redact, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_template, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)


def _template(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A library's message without what was filled into it, and without its traceback."""
    record: logging.LogRecord = event["_record"]
    record.exc_info = None
    record.exc_text = None
    kind = {"logger": record.name}
    return {**event, "event": str(record.msg), "exc_info": None, **kind}
