"""How the reference service can be told to behave, as real services sometimes do."""

import re
from dataclasses import dataclass
from typing import Literal

import msgspec

from protocol.recapture import AskedParts, Part, in_order

_REJECT = re.compile(r"reject:([a-z0-9][a-z0-9-]{0,39})")
_DELAY = re.compile(r"delay:([0-9]{1,5})")
_RECAPTURE = re.compile(r"recapture:([a-z]{1,10}(?:[+][a-z]{1,10}){0,2})(?::([a-z0-9][a-z0-9-]{0,39}))?")


@dataclass(frozen=True)
class Behaviour:
    """accept; reject with a code; recapture: ask for parts anew, with a code; delay the answer by seconds;
    duplicate: count the delivery twice; lose: commit, then close the connection without an answer."""

    kind: Literal["accept", "reject", "recapture", "delay", "duplicate", "lose"]
    code: str = ""
    seconds: int = 0
    parts: tuple[Part, ...] = ()


ACCEPT = Behaviour("accept")
WORDS = "accept, reject:<code>, recapture:<part>[+<part>][:<code>], delay:<seconds>, duplicate or lose"


def read_behaviour(text: str) -> Behaviour:
    """As WORDS has it; a part is photo, fingers or signature, in this order. ValueError."""
    match text:
        case "accept" | "duplicate" | "lose":
            return Behaviour(text)
    if rejected := _REJECT.fullmatch(text):
        return Behaviour("reject", code=rejected[1])
    if delayed := _DELAY.fullmatch(text):
        return Behaviour("delay", seconds=int(delayed[1]))
    if again := _RECAPTURE.fullmatch(text):
        parts: tuple[Part, ...] = msgspec.convert(
            again[1].split("+"), AskedParts
        )  # its error is a ValueError
        if in_order(parts):
            return Behaviour("recapture", code=again[2] or f"{parts[0]}-quality", parts=parts)
    raise ValueError(WORDS)
