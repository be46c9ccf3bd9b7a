"""Instants as every document spells them: RFC 3339 in UTC, `2026-11-23T09:30:00Z`, with .mmm or without."""

import re
from datetime import UTC, datetime
from functools import lru_cache

# For msgspec.Meta, which searches: `$` would let a line feed through at the end, `\Z` does not.
PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z\Z"
_INSTANT = re.compile(PATTERN)


@lru_cache(8192)  # a message's is read where it is checked, and again where it is used
def read_instant(text: str) -> datetime:
    """The instant, zone UTC. ValueError for any other spelling or an impossible date."""
    if _INSTANT.fullmatch(text) is None:
        raise ValueError("not an instant in UTC")
    return datetime.fromisoformat(text)


def write_instant(at: datetime) -> str:
    """`at` (with a zone) in whole milliseconds, or whole seconds when there are none."""
    if at.tzinfo is None:
        raise ValueError("an instant without a zone")
    utc = at.astimezone(UTC).replace(tzinfo=None)
    unit = "milliseconds" if utc.microsecond >= 1000 else "seconds"
    return f"{utc.isoformat(timespec=unit)}Z"
