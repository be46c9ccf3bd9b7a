"""What a machine sends in the body of a call: bounded, JSON of exactly the members that its kind has."""

from typing import TypeVar

import msgspec
from flask import abort, request

_T = TypeVar("_T")


def read(kind: type[_T], longest: int) -> _T:
    """The body of the present request as a `kind`. Aborts: 413 above `longest` bytes, else 400."""
    data = request.get_data(cache=False)
    if len(data) > longest:
        abort(413)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        abort(400)
