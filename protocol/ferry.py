"""A sealed packet through the broker, in pieces (docs/protocol.md 7.2): where only its port is let through.

Pieces are no messages: no envelope, no JSON. What a begin and a standing say is what POST and PATCH say over
HTTPS, with the same offsets and the same generation.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from protocol.identity import KIT_ID
from protocol.ids import is_ulid
from protocol.messages import BadMessage, Sha256, Ulid

LONGEST_PIECE = 16_384
WINDOW = 4  # pieces without an answer
LARGEST = 1 + 8 + 8 + 32 + LONGEST_PIECE
_HEAD = struct.Struct(">BQQ32s")
_PIECE = 1
_MOST = 2**53 - 1
_UP, _DOWN = "up/ferry", "down/ferry"

_Offset = Annotated[int, Meta(ge=0, le=2**40)]
_Generation = Annotated[int, Meta(ge=0, le=_MOST)]


class Begin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="begin"):
    """Begin or resume. `corr`: a ULID of the kit's, which the answer repeats."""

    corr: Ulid
    size: Annotated[int, Meta(ge=1, le=2**40)]
    sha256: Sha256


@dataclass(frozen=True)
class Piece:
    generation: int
    offset: int
    data: bytes


class Standing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="standing"):
    """How far the fleet has it on disk. `corr`: of the begin that this answers, "" after a piece. `code`: ""
    when what was sent was taken; `offset` or `generation` when it was out of step; else why it is refused."""

    corr: Annotated[str, Meta(pattern=r"^([0-7][0-9A-HJKMNP-TV-Z]{25})?\Z")]
    packet_id: Ulid
    offset: _Offset
    generation: _Generation
    state: Literal["open", "complete", "refused"]
    code: Annotated[str, Meta(pattern=r"^[a-z0-9-]{0,64}\Z")]


_begins = msgspec.json.Decoder(Begin)
_standings = msgspec.json.Decoder(Standing)


def up_topic(kit_id: str, packet_id: str) -> str:
    """ValueError for what is no kit or no packet."""
    if KIT_ID.fullmatch(kit_id) is None or not is_ulid(packet_id):
        raise ValueError("not a kit and a packet")
    return f"tl/v1/kit/{kit_id}/{_UP}/{packet_id}"


def down_topic(kit_id: str) -> str:
    """ValueError for what is no kit."""
    if KIT_ID.fullmatch(kit_id) is None:
        raise ValueError("not a kit")
    return f"tl/v1/kit/{kit_id}/{_DOWN}"


@lru_cache(16_384)  # a fleet asks it of every message, and hears the same few topics again and again
def is_up(topic: str) -> bool:
    """Whether this came for a ferry, well formed or not."""
    return topic.split("/")[4:6] == _UP.split("/")


def parse_up(topic: str) -> tuple[str, str]:
    """Kit and packet. BadMessage."""
    levels = topic.split("/")
    if len(levels) != 7 or not is_ulid(levels[6]) or KIT_ID.fullmatch(levels[3]) is None:
        raise BadMessage("wrong-topic", "not a topic of a packet")
    if topic != up_topic(levels[3], levels[6]):
        raise BadMessage("wrong-topic", "not a topic of a packet")
    return levels[3], levels[6]


def encode(said: Begin | Piece | Standing) -> bytes:
    """BadMessage when it would not be taken by the other side."""
    if not isinstance(said, Piece):
        data = msgspec.json.encode(said)
        (decode_up if isinstance(said, Begin) else decode_down)(data)
        return data
    if not (0 <= said.generation <= _MOST and 0 <= said.offset <= 2**40):
        raise BadMessage("malformed", "a number out of its bounds")
    if not 0 < len(said.data) <= LONGEST_PIECE:
        raise BadMessage("too-big", f"{len(said.data)} bytes")
    return _HEAD.pack(_PIECE, said.generation, said.offset, sha256(said.data).digest()) + said.data


def decode_up(data: bytes) -> Begin | Piece:
    """What a kit said. BadMessage."""
    if len(data) > LARGEST:
        raise BadMessage("too-big", f"{len(data)} bytes")
    if data[:1] == b"{":
        try:
            return _begins.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise BadMessage("malformed", "begin") from problem
    if len(data) <= _HEAD.size or data[0] != _PIECE:
        raise BadMessage("malformed", "piece")
    _, generation, offset, digest = _HEAD.unpack_from(data)
    piece = data[_HEAD.size :]
    if generation > _MOST or offset > 2**40 or sha256(piece).digest() != digest:
        raise BadMessage("malformed", "piece")
    return Piece(generation, offset, piece)


def decode_down(data: bytes) -> Standing:
    """What the fleet said. BadMessage."""
    if len(data) > 1024:
        raise BadMessage("too-big", f"{len(data)} bytes")
    try:
        return _standings.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadMessage("malformed", "standing") from problem
