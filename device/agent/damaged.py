"""Captures of an open visit that cannot be read any more: a block of the disk that went bad, or a record of
another version. Each is taken back like a step that is done again, so that one bad block costs one capture,
and neither the visit nor the day.
"""

from collections.abc import Callable

import structlog

from device.agent.events import CardKept, PossessionProven, Redo, SignatureKept
from device.agent.records import KINDS, open_record
from device.agent.visit import Visit, named
from device.errors import Code, KitError
from device.vault.store import OpenVault

log = structlog.get_logger()


def take_back(vault: OpenVault, visit_id: str, visit: Visit, note: Callable[[Redo], None]) -> bool:
    """Note what must be taken anew, each as one fact; whether there was anything.

    KitError as the vault's, other than for what is damaged."""
    bad = {record for record, digest in named(visit).items() if not _reads(vault, visit_id, record, digest)}
    for redo in _anew(visit, bad):
        log.error("capture-damaged", visit=visit_id, step=redo.step)
        note(redo)
    return bool(bad)


def _reads(vault: OpenVault, visit_id: str, record: str, digest: str) -> bool:
    try:
        kept = vault.get(visit_id, record, digest)
        open_record(kept.data, KINDS[kept.kind])
    except KitError as problem:
        if problem.code is not Code.VAULT_DAMAGED:
            raise
        return False
    return True


def _anew(visit: Visit, bad: set[str]) -> list[Redo]:
    """The steps these records belong to. A card takes its holder's proof along, which was about that card."""
    wishes = []
    if isinstance(visit.card, CardKept) and visit.card.record in bad:
        wishes.append(Redo("card"))
    elif isinstance(visit.possession, PossessionProven) and visit.possession.record in bad:
        wishes.append(Redo("possession"))
    if visit.photo and visit.photo.record in bad:
        wishes.append(Redo("photo"))
    wishes += [Redo("fingers", hand) for hand, of in visit.hands.items() if of.kept and of.kept.record in bad]
    if isinstance(visit.signature, SignatureKept) and visit.signature.record in bad:
        wishes.append(Redo("signature"))
    return wishes
