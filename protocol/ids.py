"""Identifiers both sides make and check: ULIDs, 26 characters of Crockford base32, upper case; the ids of
keys; digests."""

import re
import secrets
from datetime import UTC, datetime, timedelta

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# The first character holds three bits only: 128 bits in 26 characters of 5 (github.com/ulid/spec).
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)  # ten bits each
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def new_ulid(clock_ms: int | None = None) -> str:
    """A new ULID: 48 bits of milliseconds since 1970 (now, unless given), 80 bits from the system's CSPRNG.

    ULIDs of the same millisecond do not sort by making; nothing here relies on that."""
    return new_ulids(1, clock_ms)[0]


def new_ulids(count: int, clock_ms: int | None = None) -> list[str]:
    """As many, of one moment."""
    if clock_ms is None:
        clock_ms = int(datetime.now(UTC).timestamp() * 1000)
    if not 0 <= clock_ms < 1 << 48:
        raise ValueError("a ULID holds 48 bits of milliseconds")
    chance = secrets.token_bytes(10 * count)
    numbers = [clock_ms << 80 | int.from_bytes(chance[at : at + 10]) for at in range(0, 10 * count, 10)]
    return ["".join([_PAIRS[number >> shift & 1023] for shift in range(120, -10, -10)]) for number in numbers]


def ulid_time(ulid: str) -> datetime:
    """When a ULID says it was made, by the clock of whoever made it; the first 48 bits."""
    number = 0
    for character in ulid[:10]:
        number = number << 5 | ALPHABET.index(character)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=number)


def is_ulid(text: str) -> bool:
    """True for the one canonical spelling only: upper case, no I, L, O or U, at most 128 bits."""
    return _ULID.fullmatch(text) is not None


def is_key_id(text: str) -> bool:
    """True for what can name a signing key or a recipient, as `signed.key_id` does."""
    return _KEY_ID.fullmatch(text) is not None


def is_sha256(text: str) -> bool:
    """True for 64 lower-case hexadecimal digits."""
    return _SHA256.fullmatch(text) is not None
