"""What the vault keeps of a visit until it is sealed: the request, the card, and the captures. Memory and
bytes.

Each is one vault record; the journal names it by id and by the SHA-256 of its bytes, so that a record that
is not the one that was kept is seen before it is sealed.
"""

import hashlib
from collections.abc import Mapping
from typing import Generic, Literal, TypeVar

import msgspec

from device.errors import Code, KitError, Refused, Remedy
from device.ports import CardReading, FingerImage, Photo, SignatureInk
from device.rendering import finger, ink
from protocol.bag import BagVisit
from protocol.possession import Evidence
from protocol.recapture import Part

Kind = Literal["request", "card", "possession", "photo", "finger", "signature"]
PPI = 500
_PACKED = b"\x92"  # MessagePack: an array of two
REQUEST = "request"
"""Id of the record that holds the visit as it was asked for; there is one a visit."""


def only(request: BagVisit) -> tuple[Part, ...]:
    """The parts that this visit takes anew; none when it is a whole one."""
    return () if request.supplements is msgspec.UNSET else request.supplements.parts


class KeptFinger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """8-bit grey PNG at 500 ppi, and what was measured on it."""

    png: bytes
    width: int
    height: int
    ppi: int
    measures: dict[str, float]
    hints: tuple[str, ...]
    device: str

    def __repr__(self) -> str:
        return "KeptFinger(...)"


class KeptSignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    svg: bytes
    png: bytes
    strokes: int
    points: int
    device: str

    def __repr__(self) -> str:
        return "KeptSignature(...)"


def finger_of(image: FingerImage) -> KeptFinger:
    """A capture as it is kept; KitError when it is not the 500 ppi picture it says it is."""
    if image.ppi != PPI or len(image.pixels) != image.width * image.height or not image.pixels:
        raise KitError(Code.PERIPHERAL_PROTOCOL, Remedy.WORKSHOP, "not a 500 ppi picture of the size it says")
    png = finger.to_png(image)
    return KeptFinger(png, image.width, image.height, image.ppi, image.measures, image.hints, image.device)


def signature_of(written: SignatureInk) -> KeptSignature:
    """A signature as it is kept. KitError empty-signature when there is none."""
    points = sum(len(stroke.points) for stroke in written.strokes)
    if not points:
        raise KitError(Code.EMPTY_SIGNATURE, Remedy.RETRY)
    svg, png = ink.to_svg(written).encode(), ink.to_png(written)
    return KeptSignature(svg, png, len(written.strokes), points, written.device)


KINDS: Mapping[str, type["Kept"]] = {
    "card": CardReading,
    "possession": Evidence,
    "photo": Photo,
    "finger": KeptFinger,
    "signature": KeptSignature,
}
"""What a capture is, by the kind of its record."""

Kept = BagVisit | CardReading | Evidence | Photo | KeptFinger | KeptSignature
K = TypeVar("K", bound=Kept)


class Packed(msgspec.Struct, Generic[K], frozen=True, array_like=True, forbid_unknown_fields=True):
    """A record, and the SHA-256 of each picture in it: worked out when it is kept, where nobody waits."""

    kept: K
    pictures: tuple[str, ...] = ()


def pack(kept: Kept) -> bytes:
    return msgspec.msgpack.encode(Packed(kept, tuple(map(digest, _pictures(kept)))))


def open_record(data: bytes | memoryview, kind: type[K]) -> Packed[K]:
    """KitError vault-damaged when these bytes are no such record."""
    try:
        if data[:1] != _PACKED:  # kept before records told the digests of their pictures
            return Packed(msgspec.msgpack.decode(data, type=kind))
        return msgspec.msgpack.decode(data, type=Packed[kind])  # type: ignore[valid-type]
    except msgspec.DecodeError as problem:
        raise KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, f"record is no {kind.__name__}") from problem


def unpack(data: bytes, kind: type[K]) -> K:
    """KitError as `open_record`."""
    return open_record(data, kind).kept


def picture(kind: str, data: bytes) -> tuple[str, bytes]:
    """What a screen shows of a record: its media type and bytes. Refused not-now: it has none."""
    if kind == "photo":
        return "image/jpeg", unpack(data, Photo).jpeg
    if kind == "finger":
        return "image/png", unpack(data, KeptFinger).png
    if kind == "signature":
        return "image/svg+xml", unpack(data, KeptSignature).svg
    card = unpack(data, CardReading)
    if card.photo is None:
        raise Refused(Code.NOT_NOW, "a card without photo")
    return "image/jpeg", card.photo.jpeg


def _pictures(kept: Kept) -> tuple[bytes, ...]:
    """What of it becomes parts of an application as it is."""
    match kept:
        case CardReading(photo=photo) if photo is not None:
            return (photo.jpeg,)
        case Photo(jpeg=jpeg):
            return (jpeg,)
        case KeptFinger(png=png):
            return (png,)
        case KeptSignature(svg=svg, png=png):
            return (svg, png)
        case _:
            return ()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
