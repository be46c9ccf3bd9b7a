"""A word of the fleet to one kit: signed canonical JSON with an end. What commands and wishes share."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Protocol, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import canonical, signed
from protocol.instant import read_instant

LONGEST = 4096  # bytes of payload
Refusal = Literal["signature", "malformed", "unknown-action", "other-kit", "expired", "replayed"]


class BadCommand(ValueError):
    """A command or a wish that must not be carried out."""

    def __init__(self, code: Refusal, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code: Refusal = code
        self.detail = detail


class Word(Protocol):
    """What every such word says of itself."""

    @property
    def kit_id(self) -> str: ...
    @property
    def issued(self) -> str: ...
    @property
    def not_after(self) -> str: ...


W = TypeVar("W", bound=Word)


def opened(token: str, kind: str, keys: Mapping[str, ec.EllipticCurvePublicKey]) -> bytes:
    """The payload of a signed document of `kind`. BadCommand signature."""
    try:
        return signed.verify(token, kind, keys)
    except signed.BadSignature as problem:
        raise BadCommand("signature", problem.code) from problem


def read(payload: bytes, shape: type[W]) -> W:
    """BadCommand malformed unless `payload` is a `shape` that ends after it begins."""
    try:
        if len(payload) > LONGEST:
            raise ValueError("too long")
        word = msgspec.convert(canonical.loads(payload), shape)
        ends = read_instant(word.not_after) > read_instant(word.issued)
    except (ValueError, msgspec.ValidationError) as problem:
        raise BadCommand("malformed") from problem
    if not ends:
        raise BadCommand("malformed", "it ends before it begins")
    return word


def judge(word: Word, kit_id: str, *, replayed: str, now: datetime | None) -> None:
    """BadCommand, in this order: other-kit, replayed (when `replayed` says why), expired."""
    if word.kit_id != kit_id:
        raise BadCommand("other-kit")
    if replayed:
        raise BadCommand("replayed", replayed)
    if now is None or now >= read_instant(word.not_after):
        raise BadCommand("expired", word.not_after)
