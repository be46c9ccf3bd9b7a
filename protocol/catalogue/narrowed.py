"""A catalogue entry for a visit that only takes parts anew: who it is, those steps, review and seal."""

from collections.abc import Sequence

import msgspec

from protocol.catalogue.loader import BadCatalogue, Entry
from protocol.recapture import Part

AROUND = ("card", "review", "seal")
"""What every visit has: nobody is photographed before a card has said who it is. The law was explained, the
procedure chosen and the PIN given at the first visit; they are facts of the application, not of a part."""


def narrowed(entry: Entry, parts: Sequence[Part]) -> Entry:
    """The entry with the steps of `parts` alone, in its own order; as it is when there are none. Digest,
    rules and exceptions stay those of the whole entry. BadCatalogue when it has no such step."""
    if not parts:
        return entry
    if missing := [part for part in parts if part not in entry.service.steps]:
        raise BadCatalogue(f"{entry.service.service} has no step {missing[0]}")
    steps = tuple(step for step in entry.service.steps if step in AROUND or step in parts)
    return Entry(msgspec.structs.replace(entry.service, steps=steps), entry.digest)
