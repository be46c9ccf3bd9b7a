"""The files of an application before they are sealed, and how its manifest names them and their readers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from protocol.sealed.manifest import Content, RecipientId, group_of
from protocol.sealed.recipients import Recipient


@dataclass(frozen=True)
class Part:
    """One file of the application. `known` is the SHA-256 of its bytes in hex, where it was worked out
    before: whoever opens the packet checks it."""

    name: str
    type: str
    data: bytes = field(repr=False)
    known: str = field(default="", repr=False, compare=False)

    @cached_property
    def sha256(self) -> str:
        """In hex. Worked out once: who describes the parts and who seals them both ask."""
        return self.known or hashlib.sha256(self.data).hexdigest()


class Sealable(Protocol):
    """What can be sealed: a `Part`, or the like of one whose bytes lie within others."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def data(self) -> bytes | memoryview: ...
    @property
    def sha256(self) -> str: ...


def contents_of(parts: Sequence[Sealable]) -> tuple[Content, ...]:
    """What the manifest says of the parts. ValueError for a part that belongs to no group."""
    return tuple(
        [Content(group_of(part.name), part.name, part.type, len(part.data), part.sha256) for part in parts]
    )


def kids_of(recipients: Sequence[Recipient]) -> tuple[RecipientId, ...]:
    """How the manifest names the recipients."""
    return tuple([RecipientId(recipient.kid) for recipient in recipients])
