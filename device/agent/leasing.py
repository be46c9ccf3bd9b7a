"""The lease of the store: how long it opens without the fleet, judged by the kit's own reckoning.

A lease has ended when the reckoning *or* the wall clock says so, whichever is first: a clock set back gains
nothing while the kit runs, a kit from a drawer does not open because its clock is doubted. Only the reckoning
destroys the share (a clock that lied may be put right again). Nothing else is ever destroyed here, what is
sealed goes on its way, and a visit that has begun may be finished.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog
from cryptography.hazmat.primitives.asymmetric import ec

from device.agent.access import Access
from device.agent.cases import Cases
from device.agent.landmarks import Passed
from device.agent.retention import Calendar
from device.agent.sealing import KitSigner
from device.agent.session import is_open
from device.agent.term import Left, left
from device.errors import Code, KitError, Remedy
from device.ports import Clock, KeySource
from device.spool.leases import LeaseDesk
from device.vault import keys, lease
from device.vault.database import Database, Transaction
from device.vault.store import OpenVault
from protocol import lease as protocol
from protocol.ids import new_ulid
from protocol.lease import Asked, BadLease, Granted
from protocol.sealed import agekeys

log = structlog.get_logger()

FIRST_HOURS, FIRST_VISITS = 48, 12
"""What a kit may do that has not heard of the fleet yet."""

GRACE = timedelta(hours=4)
"""A visit may be finished for so long after it was begun, whatever the lease says; the keys that seal it are
asked to live as long before its first capture."""

ASK_S, HURRY_S = 900.0, 60.0
"""How often a lease is asked for; and when it has ended or nearly so."""


def left_of(database: Database, known: datetime, wall: datetime) -> Left:
    """What is left of the lease in this vault; for a vault that never had one, `known` is no."""
    held = lease.read(database)
    if held is None:
        return Left()
    return left(held.held, held.ends, held.wall_ends, held.visits, known, wall)


class Leasing:
    """All calls on the desk's thread. Without `wanted` a kit has no lease, and all of this does nothing."""

    def __init__(
        self,
        database: Database,
        desk: LeaseDesk,
        source: KeySource,
        kit: KitSigner,
        command_keys: Mapping[str, ec.EllipticCurvePublicKey],
        calendar: Calendar,
        cases: Cases,
        access: Access,
        clock: Clock,
        passed: Passed,
        roster: Callable[[str, str], None],
        *,
        wanted: bool,
    ) -> None:
        """`roster` takes the list of officers that came with an answer, and the nonce it answers."""
        self._database, self._desk, self._source, self._kit = database, desk, source, kit
        self._command_keys, self._calendar, self._cases = command_keys, calendar, cases
        self._access, self._clock, self._passed = access, clock, passed
        self._wanted, self._roster = wanted, roster
        self._nonce = self._ready = ""  # of what was asked, and of what goes along with the planning
        self._ask_at = clock.monotonic()
        if wanted and lease.read(database) is None:
            ends = timedelta(hours=FIRST_HOURS)
            with database.transaction() as tx:
                lease.begin(tx, calendar.known() + ends, clock.now() + ends, FIRST_VISITS)

    def left(self) -> Left:
        if not self._wanted:
            return Left()
        return left_of(self._database, self._calendar.known(), self._clock.now())

    def closed_since(self) -> datetime | None:
        """Since when, by the reckoning, no PIN opens the store; None when one does."""
        held = lease.read(self._database)
        return held.ends if held is not None and self.left().ended else None

    def check_unlock(self) -> None:
        """KitError lease-ended, but for an officer who must finish a visit."""
        if self.left().ended and not self.finishing():
            raise KitError(Code.LEASE_ENDED, Remedy.OFFICER)

    def check_begin(self) -> None:
        """Before a new visit. KitError lease-ended; lease-spent when its visits are used up."""
        now = self.left()
        if now.ended:
            raise KitError(Code.LEASE_ENDED, Remedy.OFFICER)
        if now.known and not now.visits:
            raise KitError(Code.LEASE_SPENT, Remedy.OFFICER)

    def begun(self, tx: Transaction, visit_id: str) -> None:
        """A visit has begun: its days count from now, and it is one of the lease's."""
        self._calendar.begin(tx, visit_id)
        if self._wanted:
            lease.spend(tx)

    def look(self, vault: OpenVault | None, in_visit: bool) -> bool:
        """Take what came, go on to the next epoch, ask, and close when it is time.

        Whether the store must be locked now."""
        if not self._wanted:
            return False
        try:
            self._take()
            if vault is not None:
                self._turn(vault)
            self._ask()
            return self._close() and vault is not None and not in_visit
        except KitError as problem:
            log.error("lease-waits", code=str(problem.code), detail=problem.detail)
            return False

    def finishing(self) -> bool:
        """Whether a visit was begun so lately that it may be finished."""
        held = lease.read(self._database)
        if held is None or not held.held:
            return False
        return any(
            is_open(visit) and self._calendar.age(visit_id) < GRACE
            for visit_id, visit in self._cases.visits.items()
        )

    def _take(self) -> None:
        sealed = self._desk.granted()
        if sealed is None:
            return
        try:
            self._keep(protocol.open_granted(sealed, self._identity(), self._command_keys))
        except (BadLease, ValueError) as problem:
            log.warning("lease-refused", code=getattr(problem, "code", "lease-epoch"))
        self._desk.drop_granted()

    def _keep(self, granted: Granted) -> None:
        if (
            granted.kit_id != self._kit.kit_id
            or granted.nonce not in (self._nonce, self._ready)
            or not granted.nonce
        ):
            log.warning("lease-refused", code="lease-not-asked")
            return
        if granted.roster:
            self._roster(granted.roster, granted.nonce)
        time = timedelta(hours=granted.hours)
        shares = lease.Shares(granted.epoch, granted.share, granted.following)
        secret = self._source.device_secret()
        ends, wall = self._calendar.known() + time, self._clock.now() + time
        self._passed("lease:before")
        with self._database.transaction() as tx:
            lease.keep(tx, secret, shares, ends, wall, granted.visits)
        self._passed("lease:after")
        self._ask_at = self._clock.monotonic() + ASK_S
        self._nonce, self._ready = "", new_ulid()
        self._desk.ready(self._request(self._ready, granted.epoch))
        log.info("lease", epoch=granted.epoch, hours=granted.hours, visits=granted.visits)

    def _turn(self, vault: OpenVault) -> None:
        held = lease.read(self._database)
        if held is None or not held.coming:
            return
        self._passed("epoch:before")
        lease.turn_epoch(vault, self._source.device_secret())
        self._passed("epoch:after")
        log.info("epoch", epoch=held.epoch + 1)
        self._ask_at = self._clock.monotonic()  # the fleet may forget the share before

    def _ask(self) -> None:
        now = self._clock.monotonic()
        hurry = not self.left().enough_for_today
        if now < self._ask_at and not (hurry and now >= self._ask_at - ASK_S + HURRY_S):
            return
        held = lease.read(self._database)
        assert held is not None  # made at the start
        self._nonce, self._ask_at = new_ulid(), now + ASK_S
        self._desk.ask(self._request(self._nonce, held.epoch))

    def _request(self, nonce: str, epoch: int) -> str:
        recipient = agekeys.recipient_of(self._identity())
        asked = Asked(kit_id=self._kit.kit_id, epoch=epoch, nonce=nonce, recipient=recipient)
        return protocol.sign_asked(asked, self._kit.signer.key, self._kit.signer.chain)

    def _close(self) -> bool:
        """Destroy the share when the reckoning says that the lease is over. Whether it is over."""
        held = lease.read(self._database)
        if held is None or not self.left().ended or self.finishing():
            return False
        if held.held and held.epoch and self._calendar.known() >= held.ends:
            note = self._access.note("lease-ended")
            self._passed("lease:before")
            with self._database.transaction() as tx:
                lease.close(tx)
                note(tx)
            self._passed("lease:after")
            log.warning("lease-ended")
        return True

    def _identity(self) -> str:
        """The agent's key pair for leases, the same as long as the device is."""
        return agekeys.identity_from(keys.derive(self._source.device_secret(), "lease-recipient"))
