"""Whether a packet may supplement an application: the same rules for the reference service and for whoever
opens one by hand (docs/protocol.md 4, "Supplements"). Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from protocol.instant import read_instant
from protocol.recapture import Part
from protocol.sealed.manifest import Manifest

UNKNOWN = "supplement-unknown"
OF_SUPPLEMENT = "supplement-of-supplement"
ELSEWHERE = "supplement-elsewhere"
NOT_ASKED = "supplement-not-asked"
OTHER_PARTS = "supplement-parts"
LATE = "supplement-late"
OTHER_PERSON = "supplement-other-person"
CODES = (UNKNOWN, OF_SUPPLEMENT, ELSEWHERE, NOT_ASKED, OTHER_PARTS, LATE, OTHER_PERSON)
"""In the order in which they are looked at. A supplement refused with one of them has changed nothing: the
application is where it was, and what was asked for is still asked for."""


@dataclass(frozen=True)
class Original:
    """What a service knows of the packet that a supplement names. `parts` and `until`: what it waits for now;
    empty and None when it never asked, or has had its answer. `holder`: whatever tells its person from
    others, empty when the packet did not say."""

    tenant: str
    service_id: str
    is_supplement: bool
    parts: Sequence[Part]
    until: datetime | None
    holder: str = ""


def refusal(supplement: Manifest, original: Original | None, holder: str = "") -> str:
    """Why the service does not take this supplement: the first of CODES that fits; empty when it takes it.

    `holder`: of the supplement's person, as `Original.holder`. Where a card was waived on either side, there
    is nothing to compare, and the officer's word stands."""
    about = supplement.supplements
    if about is msgspec.UNSET or original is None:
        return UNKNOWN
    sealed = read_instant(supplement.created_utc)
    rules = (
        (OF_SUPPLEMENT, not original.is_supplement),
        (ELSEWHERE, (supplement.tenant, supplement.service_id) == (original.tenant, original.service_id)),
        (NOT_ASKED, bool(original.parts) and original.until is not None),
        (OTHER_PARTS, tuple(about.parts) == tuple(original.parts)),
        (LATE, original.until is None or sealed < original.until),
        (OTHER_PERSON, "" in (holder, original.holder) or holder == original.holder),
    )
    return next((code for code, holds in rules if not holds), "")
