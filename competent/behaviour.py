"""How the reference service can be told to behave, as real services sometimes do."""

import re
from dataclasses import dataclass
from typing import Literal

_REJECT = re.compile(r"reject:([a-z0-9][a-z0-9-]{0,39})")
_DELAY = re.compile(r"delay:([0-9]{1,5})")


@dataclass(frozen=True)
class Behaviour:
    """accept; reject with a code; delay the answer by seconds; duplicate: count the delivery twice;
    lose: commit, then close the connection without an answer."""

    kind: Literal["accept", "reject", "delay", "duplicate", "lose"]
    code: str = ""
    seconds: int = 0


ACCEPT = Behaviour("accept")


def read_behaviour(text: str) -> Behaviour:
    """`accept`, `reject:<code>`, `delay:<seconds>`, `duplicate` or `lose`. ValueError."""
    match text:
        case "accept" | "duplicate" | "lose":
            return Behaviour(text)
    if rejected := _REJECT.fullmatch(text):
        return Behaviour("reject", code=rejected[1])
    if delayed := _DELAY.fullmatch(text):
        return Behaviour("delay", seconds=int(delayed[1]))
    raise ValueError("accept, reject:<code>, delay:<seconds>, duplicate or lose")
