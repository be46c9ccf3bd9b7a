"""What the fleet says it handed over, held against what the service has: one finding for each application.

Pure; who acts on the findings is competent/reconcile.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from competent.ledger import Application

# What the service can put right itself, and what is for a person, since somebody's books are wrong.
Kind = Literal[
    "agreed",
    "under-way",  # the fleet has not handed it over yet
    "not-arrived",  # handed over, it says, but not here: fetch it
    "answer-unheard",  # answered here, still waiting there: answer again
    "answer-lost",  # answered, it says, but not here: the ledger is not what it was
    "answers-differ",
    "another-packet",  # the same id, another manifest
    "held-back",  # the fleet has it, and gave it to a person of its own
    "unknown-there",
]
FOR_A_PERSON: frozenset[Kind] = frozenset(
    {"answer-lost", "answers-differ", "another-packet", "held-back", "unknown-there"}
)
_GIVEN_UP = frozenset({"stuck", "expired"})


@dataclass(frozen=True)
class Stated:
    """One line of the fleet's statement; `state` as in docs/protocol.md 11."""

    packet_id: str
    manifest_sha256: str
    state: str


@dataclass(frozen=True)
class Finding:
    packet_id: str
    kind: Kind


def compare(stated: Iterable[Stated], held: Mapping[str, Application], now: float) -> list[Finding]:
    """One finding for every application that either side knows, by packet id. `held`: the ledger by packet
    id; `now`: Unix time, since an answer may not be due yet."""
    found = {line.packet_id: _judge(line, held.get(line.packet_id), now) for line in stated}
    for packet_id in held:
        found.setdefault(packet_id, "unknown-there")
    return [Finding(packet_id, found[packet_id]) for packet_id in sorted(found)]


def _judge(line: Stated, held: Application | None, now: float) -> Kind:
    if held is None:
        if line.state in ("uploaded", *_GIVEN_UP):
            return "under-way" if line.state == "uploaded" else "held-back"
        return "not-arrived" if line.state == "forwarded" else "answer-lost"
    if held.manifest_sha256 != line.manifest_sha256:
        return "another-packet"
    if line.state in _GIVEN_UP:
        return "held-back"
    if line.state in ("uploaded", "forwarded"):
        return "answer-unheard" if held.answer_from <= now else "under-way"
    # A question for a part anew stands until what was taken anew is answered.
    agreed = {held.verdict} if held.verdict != "recapture" else {"recapture", "accepted", "rejected"}
    return "agreed" if line.state in agreed else "answers-differ"
