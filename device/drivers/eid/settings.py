"""The card reader's section of kit.toml."""

from typing import Annotated

import msgspec


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Time-outs: a mute card is reported after `answer_s`, any read ends within `read_s` seconds."""

    reader: Annotated[str, msgspec.Meta(max_length=120)] = (
        ""  # name or its beginning; empty: the one with an eID
    )
    block: Annotated[int, msgspec.Meta(ge=1, le=256)] = 252  # bytes a READ; some readers cannot do 256
    answer_s: Annotated[float, msgspec.Meta(ge=0.5, le=60)] = 5.0  # for one command, and for connecting
    read_s: Annotated[float, msgspec.Meta(ge=1, le=300)] = 30.0
    appear_s: Annotated[float, msgspec.Meta(ge=0, le=10)] = 1.5  # for a card that was only just put in
    busy_s: Annotated[float, msgspec.Meta(ge=0, le=30)] = 2.0  # how long another program may hold the reader
