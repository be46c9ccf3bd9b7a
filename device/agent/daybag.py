"""Taking the day bag from the spool into the session: opened, of this kit and of these days, newer than the
one at hand."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

import structlog
from cryptography.hazmat.primitives.asymmetric import ec

from device.agent.session import Session, bag_identity, is_open
from device.agent.snapshot import Failure
from device.agent.visit import Visit
from device.errors import Code, KitError, Remedy
from device.ports import Clock
from device.spool.spool import Spool
from device.vault.store import OpenVault
from protocol.bag import BadBag, OpenedBag, open_bag

log = structlog.get_logger()

_OLDEST = timedelta(days=1)  # names and addresses are on the kit for the day of the visits, and no longer


class DayBags:
    """All calls on the desk's thread. `unread`: visits that this kit cannot read, by id, as far as an officer
    was here to open them; the fleet is told of them, also once the kit is locked again."""

    def __init__(
        self, spool: Spool, command_keys: Mapping[str, ec.EllipticCurvePublicKey], kit_id: str, clock: Clock
    ) -> None:
        self._spool, self._command_keys, self._kit_id, self._clock = spool, command_keys, kit_id, clock
        # Which bag could not be read, so that it is complained of once; and when, if a clock was wrong.
        self._refused: tuple[int, date] | None = None
        self._lost: frozenset[str] = frozenset()
        self.unread: tuple[str, ...] = ()

    def begin(self) -> None:
        """Somebody has signed in, who is to hear of a bag that cannot be read."""
        self._refused = None

    def take(self, session: Session, visits: Mapping[str, Visit]) -> Failure | None:
        """Open the bag in the spool when it is newer than the session's; what to complain of, once."""
        found, now = self._spool.bag(), self._clock.now()
        if found is not None and found[0] > session.bag_version and (found[0], now.date()) != self._refused:
            version, sealed = found
            try:
                bag = read_bag(sealed, session.vault, self._command_keys, self._kit_id, now)
            except KitError as problem:
                log.warning("bag-refused", version=version, code=str(problem.code), detail=problem.detail)
                self._refused = version, now.date()
                return Failure(problem.code, problem.remedy, "wish")
            session.take_bag(bag, visits)
        self._lost = frozenset(
            visit_id
            for visit_id in self._lost | session.lost
            if visit_id not in session.requests and is_open(visits.get(visit_id))
        )
        self.unread = (*filter(None, session.aside), *sorted(self._lost))
        return None


def read_bag(
    sealed: bytes,
    vault: OpenVault,
    command_keys: Mapping[str, ec.EllipticCurvePublicKey],
    kit_id: str,
    now: datetime,
) -> OpenedBag:
    """The opened bag. KitError bag-unreadable: not this kit's, not the fleet's, or not of these days."""
    try:
        opened = open_bag(sealed, bag_identity(vault), command_keys)
    except BadBag as problem:
        raise KitError(Code.BAG_UNREADABLE, Remedy.WORKSHOP, problem.code) from problem
    if opened.bag.kit_id != kit_id:
        raise KitError(Code.BAG_UNREADABLE, Remedy.WORKSHOP, "the bag of another kit")
    if date.fromisoformat(opened.bag.date) < now.date() - _OLDEST:
        raise KitError(Code.BAG_UNREADABLE, Remedy.OFFICER, "the bag of an earlier day")
    for visit_id in opened.aside:  # the others are worked with; the fleet should not have sent this one
        log.warning("visit-set-aside", visit=visit_id, version=opened.bag.version)
    return opened
