"""How an emulated card misbehaves, by script.

A script is a JSON list of objects `{"do": ..., "at": n, ...}`; `at` is the number of the command, counted
from 1 since insertion, at which it begins (0: always).

    pull             the card is pulled instead of answering
    mute             no answer, for `seconds` (0: for ever)
    slow             every answer `seconds` later
    status           the command is answered with `status` ("6F00"), `count` times
    status-on        every command with instruction `ins` ("B0") is answered with `status`
    endless-6c       READ says 6Cxx again and again
    endless-61       61FF again and again
    endless-blocks   READ always gives as much as was asked
    one-byte         READ gives one byte and 9000
    long             an answer of 65,000 bytes and 9000
    stub             an answer of one byte, without status
    refuse-blocks    READ of more than `most` bytes is answered 67 00: a reader that cannot do them
    choke-blocks     READ of more than `most` bytes breaks the line with an answer too long for it
    cap-blocks       READ gives at most `most` bytes and 9000
    reset            the card is reset before the command, `count` times, as by another program
    interfere        another file is selected before the command, `count` times, as by another program
    resolve-6c       as behind a reader that resolves 6Cxx itself: a short 9000 answer
    swap             from here the card in folder `card` answers, without being pulled
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOS = frozenset(
    {"pull", "mute", "slow", "status", "status-on", "endless-6c", "endless-61", "endless-blocks"}
    | {"one-byte", "long", "resolve-6c", "swap"}
    | {"stub", "refuse-blocks", "choke-blocks", "cap-blocks", "reset", "interfere"}
)
FIELDS = frozenset({"do", "at", "seconds", "status", "ins", "count", "card", "most"})
READ_BINARY = 0xB0
LONG = 65_000


class BadScript(ValueError):
    """The fault script is not of the form above."""


@dataclass(frozen=True)
class CardFault:
    do: str
    at: int = 0
    seconds: float = 0.0
    status: bytes = b"\x6f\x00"
    ins: int = READ_BINARY
    count: int = 1
    card: str = ""
    most: int = 248

    def due(self, number: int) -> bool:
        """Whether it acts on the command of this number."""
        if self.do in ("status", "reset", "interfere") and self.at:
            return self.at <= number < self.at + self.count
        return number >= self.at

    def spoil(self, command: bytes, answer: bytes) -> bytes:
        """The answer the reader gets instead."""
        ins, wanted = command[1], (command[4] if len(command) > 4 else 0) or 256
        reads = ins == READ_BINARY
        if self.do == "status" or (self.do == "status-on" and ins == self.ins):
            return self.status
        if self.do == "stub":
            return b"\x90"
        if reads and wanted > self.most:
            if self.do == "refuse-blocks":
                return b"\x67\x00"
            if self.do == "choke-blocks":
                return bytes(LONG) + b"\x90\x00"
            if self.do == "cap-blocks" and len(answer) - 2 > self.most:
                return answer[: self.most] + b"\x90\x00"
        if self.do == "endless-6c" and reads:
            return b"\x6c\x20"
        if self.do == "endless-61" and ins != 0xA4:
            return (bytes(wanted) if ins == 0xC0 else b"") + b"\x61\xff"
        if self.do == "endless-blocks" and reads:
            return bytes(wanted) + b"\x90\x00"
        if self.do == "one-byte" and reads:
            return b"\x30\x90\x00"
        if self.do == "long" and reads:
            return bytes(LONG) + b"\x90\x00"
        return answer


def parse(value: Any) -> tuple[CardFault, ...]:
    """Faults from decoded JSON. BadScript when anything in it is not understood."""
    if not isinstance(value, list):
        raise BadScript("a fault script is a list")
    faults = []
    for number, entry in enumerate(value):
        if not isinstance(entry, dict) or set(entry) - FIELDS or entry.get("do") not in DOS:
            raise BadScript(f"fault {number}: do is one of {sorted(DOS)}, fields are {sorted(FIELDS)}")
        try:
            given: dict[str, Any] = {**entry}
            if "status" in given:
                given["status"] = bytes.fromhex(given["status"])
            if "ins" in given:
                given["ins"] = int(given["ins"], 16)
            faults.append(CardFault(**given))
        except (TypeError, ValueError) as error:
            raise BadScript(f"fault {number}: {error}") from error
    return tuple(faults)


def load(path: Path) -> tuple[CardFault, ...]:
    try:
        return parse(json.loads(path.read_text()))
    except (OSError, json.JSONDecodeError) as error:
        raise BadScript(f"{path}: {error}") from error
