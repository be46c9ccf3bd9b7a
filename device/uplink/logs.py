"""The uplink's log: JSON lines on stderr, ids and codes only (it never holds anything else)."""

import logging
import sys

import structlog


def set_level(name: str) -> None:
    """The least important line that is written from now on: info, warning or error."""
    least = logging.getLevelNamesMapping()[name.upper()]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(least))


def log_to_stderr() -> None:
    """For the program that runs the uplink, once, before `process.run`."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
