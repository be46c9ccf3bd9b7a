"""The uplink's log: JSON lines on stderr, ids and codes only (it never holds anything else)."""

import sys

import structlog


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
