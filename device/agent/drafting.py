"""What of a packet is known before the officer presses the button: all but the bytes of the captures, the
time, and the place in the kit's chain.

A draft says of each part where its bytes lie: in a record of the vault, from which byte on, or, of the texts
about the visit, here. It is made of one state of the visit and fits no other. The digests by which it names
the captures are those of the journal's facts, to which the vault binds each record: so what is read from
there at the end is what the draft was made of, or it does not open.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from device.agent import parts
from device.agent.events import CardKept, PossessionProven, SignatureKept
from device.agent.records import K, KeptFinger, KeptSignature, open_record
from device.agent.visit import Visit
from device.ports import CardReading, Photo
from device.vault.store import Record
from protocol.bag import BagVisit
from protocol.catalogue import Entry
from protocol.possession import Evidence
from protocol.sealed.manifest import Content
from protocol.sealed.packet import Part, contents_of


@dataclass(frozen=True)
class Piece:
    """A part whose bytes lie within a record. Memory and bytes."""

    name: str
    type: str
    data: bytes | memoryview = field(repr=False)
    sha256: str


@dataclass(frozen=True)
class _Place:
    """Of one part: the record and the offset in it, or the text itself."""

    content: Content
    record: str = ""
    offset: int = 0
    text: bytes = field(default=b"", repr=False)

    def of(self, held: Mapping[str, Record]) -> Piece:
        about = self.content
        data: bytes | memoryview = self.text
        if self.record:
            data = memoryview(held[self.record].data)[self.offset : self.offset + about.size]
        return Piece(about.name, about.type, data, about.sha256)


@dataclass(frozen=True)
class Draft:
    visit: Visit
    request: BagVisit = field(repr=False)
    entry: Entry
    example_picture: bool
    flags: tuple[str, ...]
    contents: tuple[Content, ...]
    places: tuple[_Place, ...] = field(repr=False)

    def is_of(self, visit: Visit, request: BagVisit, entry: Entry, example_picture: bool) -> bool:
        """Whether it was made of exactly these. A visit changes with every fact, and is another then."""
        same = self.visit is visit and self.request is request and self.entry.digest == entry.digest
        return same and self.example_picture == example_picture

    def parts(self, held: Mapping[str, Record]) -> tuple[Piece, ...]:
        return tuple(place.of(held) for place in self.places)


def draft(
    visit: Visit, request: BagVisit, entry: Entry, example_picture: bool, held: Mapping[str, Record]
) -> Draft:
    """Of a visit whose every step is done, and its records. KitError vault-damaged."""
    records = _open(visit, held)
    made = parts.make(visit, request, records, entry)
    contents = contents_of(made)
    return Draft(
        visit,
        request,
        entry,
        example_picture,
        parts.flags(visit, records, example_picture),
        contents,
        tuple(_place(part, content, held) for part, content in zip(made, contents, strict=True)),
    )


def _place(part: Part, content: Content, held: Mapping[str, Record]) -> _Place:
    if content.type != "application/json":
        for record, one in held.items():
            offset = one.data.find(part.data)
            if offset >= 0:
                return _Place(content, record, offset)
    return _Place(content, text=part.data)


def _open(visit: Visit, held: Mapping[str, Record]) -> parts.Records:
    """What the facts name. KitError vault-damaged when it is of another kind."""
    pictures: dict[str, tuple[str, ...]] = {}

    def read(record: str, kind: type[K]) -> K:
        packed = open_record(held[record].data, kind)
        pictures[record] = packed.pictures
        return packed.kept

    photo, card, signature, proven = visit.photo, visit.card, visit.signature, visit.possession
    return parts.Records(
        card=read(card.record, CardReading) if isinstance(card, CardKept) else None,
        photo=read(photo.record, Photo) if photo is not None else None,
        fingers={
            hand: read(state.kept.record, KeptFinger)
            for hand, state in visit.hands.items()
            if state.kept is not None
        },
        signature=read(signature.record, KeptSignature) if isinstance(signature, SignatureKept) else None,
        possession=read(proven.record, Evidence) if isinstance(proven, PossessionProven) else None,
        pictures=pictures,
    )
