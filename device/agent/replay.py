"""A visit told again from its journal: the same facts give the same state, and its digest shows it.

The state holds no personal data (the journal has none), so its digest may be compared over the telephone.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from device.agent.journal import Journal
from device.agent.visit import Stage, Visit, fold, stage
from device.errors import Code, KitError, Refused, Remedy
from device.vault.database import Database
from protocol.catalogue import Entry, narrowed


@dataclass(frozen=True)
class Replayed:
    """`stage` is empty where this kit's catalogue does not know the service (any more)."""

    visit_id: str
    facts: int
    stage: Stage | str
    digest: str


def state_digest(visit: Visit) -> str:
    """SHA-256 of the visit as JSON with its members in order, hex."""
    return hashlib.sha256(msgspec.json.encode(visit, order="deterministic")).hexdigest()


def replay(vault: Path, visit_id: str, catalogue: Mapping[str, Entry]) -> Replayed:
    """What the journal tells of this visit. Needs no key.

    Refused unknown-visit; KitError bad-config without a vault, vault-damaged."""
    if not vault.exists():
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, "there is no vault yet")
    database = Database(vault)
    try:
        entries = Journal(database).read().get(visit_id)
    finally:
        database.close()
    if entries is None:
        raise Refused(Code.UNKNOWN_VISIT)
    visit = fold(entry.event for entry in entries)
    assert visit.opened is not None  # a journal begins with Opened
    entry = catalogue.get(visit.opened.service_id)
    where = stage(visit, narrowed(entry, visit.opened.only).service) if entry is not None else ""
    return Replayed(visit_id, len(entries), where, state_digest(visit))
