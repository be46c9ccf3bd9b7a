"""A visit told again from its journal: the same facts give the same state, and its digest shows it.

The state holds no personal data (the journal has none), so its digest may be compared over the telephone.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from device.agent.journal import Entry as Fact
from device.agent.journal import Journal
from device.agent.visit import Stage, Visit, fold, stage
from device.errors import Code, KitError, Refused, Remedy
from device.vault.database import Database
from protocol.catalogue import Entry, narrowed
from protocol.instant import write_instant


@dataclass(frozen=True)
class Replayed:
    """`begun`: the instant of its first fact. `stage` is empty where this kit's catalogue does not know the
    service (any more)."""

    visit_id: str
    begun: str
    facts: int
    stage: Stage | str
    digest: str


def state_digest(visit: Visit) -> str:
    """SHA-256 of the visit as JSON with its members in order, hex."""
    return hashlib.sha256(msgspec.json.encode(visit, order="deterministic")).hexdigest()


def replay(vault: Path, visit_id: str, catalogue: Mapping[str, Entry]) -> Replayed:
    """What the journal tells of this visit. Needs no key.

    Refused unknown-visit; KitError bad-config without a vault, vault-damaged."""
    facts = _read(vault).get(visit_id)
    if facts is None:
        raise Refused(Code.UNKNOWN_VISIT, "`replay` alone lists the visits of this kit")
    return _told(visit_id, facts, catalogue)


def replay_all(vault: Path, catalogue: Mapping[str, Entry]) -> Sequence[Replayed]:
    """Every visit of this kit, the last begun first: for who does not know an id. KitError as `replay`."""
    told = [_told(visit_id, facts, catalogue) for visit_id, facts in _read(vault).items()]
    return sorted(told, key=lambda each: (each.begun, each.visit_id), reverse=True)


def _read(vault: Path) -> Mapping[str, Sequence[Fact]]:
    if not vault.exists():
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, "there is no vault yet")
    database = Database(vault)
    try:
        return Journal(database).read()
    finally:
        database.close()


def _told(visit_id: str, facts: Sequence[Fact], catalogue: Mapping[str, Entry]) -> Replayed:
    visit = fold(fact.event for fact in facts)
    assert visit.opened is not None  # a journal begins with Opened
    entry = catalogue.get(visit.opened.service_id)
    where = stage(visit, narrowed(entry, visit.opened.only).service) if entry is not None else ""
    return Replayed(visit_id, write_instant(facts[0].at), len(facts), where, state_digest(visit))
