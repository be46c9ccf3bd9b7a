"""What a kit said of itself, and so which visits it can read: a kit on older software is not sent one that it
cannot. Such a visit stays visible, with why, until the kit is updated or another one has it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeVar

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.bag import SUPPLEMENTS
from protocol.lifecycle import VisitState
from protocol.messages import Birth, Health
from server.db.tables import Kit, Visit
from server.fleet import outbox

_T = TypeVar("_T")
_AS_AT_FIRST = 1

_SHORT = select(Visit.kit_id).where(Visit.recapture.is_not(None), Visit.state == VisitState.PLANNED)

Held = Literal["", "kit-too-old", "kit-unheard"]
"""Why a visit is not sent to its kit: it is; the kit reads older visits only; it has never said."""


def said(kit: Kit) -> tuple[Health | None, Birth | None]:
    """What a kit last said of itself; None too for what another version of this program wrote down."""
    return _words(kit.health, Health), _words(kit.birth, Birth)


def unread(kit: Kit) -> frozenset[str]:
    """The visits that the kit said it cannot read, by id."""
    health = _words(kit.health, Health)
    return frozenset(health.unread) if health and health.unread is not msgspec.UNSET else frozenset()


def held_back(kit: Kit, visit: Visit) -> Held:
    """Whether `visit` is kept out of the kit's bag."""
    return reading(kit, short=visit.recapture is not None)


def reading(kit: Kit, *, short: bool) -> Held:
    """Whether the kit can read a visit that is planned for it now; `short`: one for parts anew."""
    birth = _words(kit.birth, Birth)
    if (SUPPLEMENTS if short else _AS_AT_FIRST) <= (birth.bag if birth else _AS_AT_FIRST):
        return ""
    return "kit-too-old" if birth else "kit-unheard"


def born(db: Session, reads: Mapping[str, int], now: datetime) -> None:
    """Kits have said at their birth what they read; their rows still say what they said before. Who reads
    something else now, and is to have a visit that not every kit can read, gets a new bag."""
    if not reads:
        return
    kits = select(Kit).where(Kit.kit_id.in_(reads), Kit.kit_id.in_(_SHORT)).order_by(Kit.kit_id)
    for kit in db.scalars(kits):
        _, before = said(kit)
        if before is None or before.bag != reads[kit.kit_id]:
            outbox.put_once(db, "bag", kit.kit_id, now)


def _words(words: dict[str, object] | None, kind: type[_T]) -> _T | None:
    try:
        return msgspec.convert(words, kind) if words else None
    except msgspec.ValidationError:
        return None
