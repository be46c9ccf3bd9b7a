"""Canonical JSON, strict both ways: one value has one spelling, so its bytes can be hashed and signed.

The spelling is that of RFC 8785 for the values allowed: objects with ASCII keys in sorted order, lists,
strings, integers within +-(2**53 - 1) and booleans; no floats and no nulls; UTF-8 without white space.
"""

import json

BIGGEST = 2**53 - 1  # what every JSON reader holds exactly
DEEPEST = 16
LONGEST = 4 * 1024 * 1024  # bytes
_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"), sort_keys=True)


class NotCanonical(ValueError):
    """The value has no canonical spelling, or the bytes are not it."""


def dumps(value: object) -> bytes:
    """The one spelling of `value`. NotCanonical when it holds anything but what the module says."""
    _check(value, DEEPEST)
    try:
        return _ENCODER.encode(value).encode()
    except UnicodeEncodeError as problem:
        raise NotCanonical("a string holds half a surrogate pair") from problem


def loads(data: bytes, limit: int = LONGEST) -> object:
    """The value `data` spells, at most `limit` bytes. NotCanonical unless it encodes to the same bytes."""
    if len(data) > limit:
        raise NotCanonical(f"longer than {limit} bytes")
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError) as problem:
        raise NotCanonical("not JSON") from problem
    if dumps(value) != data:
        raise NotCanonical("not in canonical form")
    return value


def _check(value: object, depth: int) -> None:
    if depth == 0:
        raise NotCanonical(f"nested deeper than {DEEPEST}")
    if isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise NotCanonical("keys are ASCII strings")
            if type(member) is not str:  # most are, and nothing is to be checked of them
                _check(member, depth - 1)
    elif isinstance(value, list | tuple):
        for member in value:
            if type(member) is not str:
                _check(member, depth - 1)
    elif isinstance(value, int):  # bool is an int
        if not -BIGGEST <= value <= BIGGEST:
            raise NotCanonical("an integer beyond 2**53 - 1")
    elif not isinstance(value, str):
        raise NotCanonical(f"{type(value).__name__} has no canonical form")
