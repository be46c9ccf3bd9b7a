"""What of a packet is known before the officer presses the button: all but the bytes of the captures, the
time, and the place in the kit's chain.

A draft says of each part where its bytes lie: in a record of the vault, from which byte on, or, of the texts
about the visit, here. It is made of one state of the visit and fits no other. The records are read with it,
and stay encrypted until the end. The digests by which it names the captures are those of the journal's facts,
to which the vault binds each record: so what they open to at the end is what the draft was made of, or they
do not open.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from device.agent import parts
from device.agent.events import CardKept, PossessionProven, SignatureKept
from device.agent.records import K, KeptFinger, KeptSignature, open_record
from device.agent.visit import Visit
from device.ports import CardReading, Photo
from device.vault.ahead import Ahead
from protocol.bag import BagVisit
from protocol.catalogue import Entry
from protocol.possession import Evidence
from protocol.sealed.manifest import Content
from protocol.sealed.packet import Part, contents_of

Held = Mapping[str, memoryview]
"""What records open to, by their id."""


@dataclass(frozen=True)
class Piece:
    """A part of the application. What lies within a record is there while the record is open."""

    name: str
    type: str
    data: bytes | memoryview = field(repr=False)
    sha256: str
    record: str = ""


@dataclass(frozen=True)
class Draft:
    visit: Visit
    request: BagVisit = field(repr=False)
    entry: Entry
    example_picture: bool
    flags: tuple[str, ...]
    contents: tuple[Content, ...]
    pieces: tuple[Piece, ...] = field(repr=False)
    ahead: Ahead = field(repr=False)

    def __enter__(self) -> "Draft":
        return self

    def __exit__(self, *exc: object) -> None:
        """What its records were opened to is gone."""
        self.ahead.wipe()

    def is_of(self, visit: Visit, request: BagVisit, entry: Entry, example_picture: bool) -> bool:
        """Whether it was made of exactly these. A visit changes with every fact, and is another then."""
        same = self.visit is visit and self.request is request and self.entry.digest == entry.digest
        return same and self.example_picture == example_picture


def draft(
    visit: Visit, request: BagVisit, entry: Entry, example_picture: bool, ahead: Ahead, held: Held
) -> Draft:
    """Of a visit whose every step is done, its records as they lie, and what they open to. KitError
    vault-damaged."""
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
        tuple(_piece(part, held) for part in made),
        ahead,
    )


def _piece(part: Part, held: Held) -> Piece:
    """A picture is taken from its record as it lies there."""
    if part.type != "application/json":
        for record, content in held.items():
            at = bytes(content).find(part.data)
            if at >= 0:
                return Piece(part.name, part.type, content[at : at + len(part.data)], part.sha256, record)
    return Piece(part.name, part.type, part.data, part.sha256)


def _open(visit: Visit, held: Held) -> parts.Records:
    """What the facts name. KitError vault-damaged when it is of another kind."""
    pictures: dict[str, tuple[str, ...]] = {}

    def read(record: str, kind: type[K]) -> K:
        packed = open_record(held[record], kind)
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
