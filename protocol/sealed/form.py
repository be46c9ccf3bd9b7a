"""Bytes of which all is known but a few values of known length: filled in at the last moment, in their place.

What stands around the values is what its reader has let through, with other values in it. So once they have
been filled in, it is enough to see that the rest is still the same, and that the values are what they may be.
"""

from collections.abc import Iterable


class Form:
    """`text` is to be filled in at `places`, with values as long as those that are there."""

    def __init__(self, text: bytes, places: Iterable[slice]) -> None:
        """`places` of values, in order."""
        self.text = bytearray(text)
        self._first = text
        self.places = tuple(places)
        ends = [0, *(place.stop for place in self.places)]
        starts = [*(place.start for place in self.places), len(text)]
        self._between = [slice(*around) for around in zip(ends, starts, strict=True)]

    def is_around(self, text: bytes) -> bool:
        """Whether `text` is this form, whatever has been filled in."""
        first = self._first
        return len(text) == len(first) and all(text[part] == first[part] for part in self._between)


def value_of(member: str, text: bytes, start: int = 0) -> slice:
    """Where the string lies that the next member of this name has in JSON without white space. No string
    that is spelled in JSON looks like a member: it has no bare quotation mark. ValueError for none."""
    key = f'"{member}":"'.encode()
    at = text.index(key, start) + len(key)
    return slice(at, text.index(b'"', at))
