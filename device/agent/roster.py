"""Officers added and removed from afar: the fleet's list, what follows from it, and a code that lets one in.

The list comes beside each lease. Who is not on it any more loses every way in at the next look, whether
anybody is signed in or not; that follows from list and vault alone, so a cut of the power repeats it and
never doubles it. A list that would leave nobody who can open the store is not taken: all in it would be lost.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from device.agent.access import Access
from device.agent.landmarks import Passed
from device.agent.retention import Calendar
from device.agent.session import Session
from device.agent.snapshot import Officer
from device.errors import Code, KitError, Refused, Remedy
from device.ports import Clock
from device.vault import newcomer, roster
from device.vault.database import Database, Transaction
from device.vault.gate import Gate, WeakPin
from device.vault.tries import Tries
from protocol import enrolment
from protocol import roster as protocol
from protocol.enrolment import BadEnrolment
from protocol.instant import read_instant
from protocol.roster import BadRoster, Roster

log = structlog.get_logger()

SHOWN = timedelta(days=7)
"""So long the sign-in screen tells that somebody was removed."""

_SAYS = {"enrolment-code": Code.WRONG_ENROLMENT, "enrolment-expired": Code.ENROLMENT_EXPIRED}


class Officers:
    """All calls on the desk's thread."""

    def __init__(
        self,
        database: Database,
        gate: Gate,
        access: Access,
        calendar: Calendar,
        clock: Clock,
        passed: Passed,
        kit_id: str,
        command_keys: Mapping[str, ec.EllipticCurvePublicKey],
        roots: Sequence[x509.Certificate],
    ) -> None:
        """`roots`: what officers' certificates lead to; without them nobody is let in from afar."""
        self._database, self._gate, self._access, self._calendar = database, gate, access, calendar
        self._clock, self._passed, self._kit_id = clock, passed, kit_id
        self._command_keys, self._roots = command_keys, roots
        self._tries = Tries(database, clock)
        database.define(roster.TABLES)
        self._list = self._read()
        self._unswept, self._unswept_why = True, ""

    # --- the list -------------------------------------------------------------------------------------

    def take(self, token: str, nonce: str) -> None:
        """The list that came with an answer to `nonce`; a refused one changes nothing."""
        try:
            told = protocol.verify(token, self._command_keys)
        except BadRoster as problem:
            log.warning("roster-refused", code=problem.code)
            return
        if why := self._objection(told, nonce):
            log.warning("roster-refused", code=why, version=told.version)
            return
        time = timedelta(hours=told.hours)
        ends, wall = self._calendar.known() + time, self._clock.now() + time
        self._passed("list:before")
        with self._database.transaction() as tx:
            roster.keep(tx, roster.Held(told.version, read_instant(told.issued), ends, wall, token))
        self._passed("list:after")
        if self._list is None or self._list.version != told.version:
            log.info("roster", version=told.version, officers=len(told.officers))
        self._list = told

    def ended(self) -> bool:
        """Whether the list is too old to let anybody in. A kit that never had one asks for none."""
        held = roster.read(self._database)
        return held is not None and (
            self._calendar.known() >= held.ends or self._clock.now() >= held.wall_ends
        )

    def removed_lately(self) -> bool:
        since = self._clock.now() - SHOWN
        row = self._database.row("SELECT MAX(at) FROM access WHERE what = 'officer-removed'")
        return row is not None and row[0] is not None and read_instant(row[0]) > since

    def look(self, session: Session | None, *, busy: bool) -> bool:
        """Shut out who is not on the list any more; whether the one who is in must go out first.

        `busy`: with a visit that may be finished; then that one officer waits."""
        gone = self._gone()
        mine = session.officer.officer_id if session else ""
        if busy:
            gone = [officer_id for officer_id in gone if officer_id != mine]
        if mine in gone:
            return True
        if gone:
            self._shut_out(gone)
            if session is not None:
                self._renew_door(session)
        return False

    def _objection(self, told: Roster, nonce: str) -> str:
        """Why a list that the fleet signed does not count here; nothing when it does."""
        if told.kit_id != self._kit_id:
            return "roster-foreign"
        if told.nonce != nonce:
            return "roster-stale"
        held = roster.read(self._database)
        if held is not None and (told.version, read_instant(told.issued)) < (held.version, held.issued):
            return "roster-older"
        if not any(each.officer_id in told.names for each in self._gate.officers()):
            return "roster-leaves-nobody"
        return ""

    def _gone(self) -> list[str]:
        if self._list is None:
            return []
        names = self._list.names
        return [each.officer_id for each in self._gate.officers() if each.officer_id not in names]

    def _shut_out(self, gone: list[str]) -> None:
        notes = [self._access.note("officer-removed", officer_id) for officer_id in gone]

        def note(tx: Transaction) -> None:
            for write in notes:
                write(tx)

        self._passed("roster:before")
        self._gate.shut_out(gone, note)
        self._unswept = True
        self._passed("roster:after")
        log.warning("officers-removed", officers=gone)

    def sweep(self) -> None:
        """What a cut of the power or a removal left in the key source; one that is gone is swept later."""
        if self._unswept:
            try:
                self._gate.sweep()
                self._unswept, self._unswept_why = False, ""
            except KitError as problem:
                if self._unswept_why != problem.code:  # once, and not at every look for as long as it lasts
                    log.warning("not-swept", code=str(problem.code), detail=problem.detail)
                self._unswept_why = str(problem.code)

    def _renew_door(self, session: Session) -> None:
        try:
            self._gate.renew_door(session.vault)
        except KitError as problem:  # it stays due, and comes first of all when somebody is next let in
            log.warning("door-waits", code=str(problem.code))

    def _read(self) -> Roster | None:
        held = roster.read(self._database)
        if held is None:
            return None
        try:
            return protocol.verify(held.token, self._command_keys)
        except BadRoster as problem:  # another command key since: the next list is signed with it
            log.warning("roster-unreadable", code=problem.code)
            return None

    # --- who may be let in ----------------------------------------------------------------------------

    def waiting(self) -> tuple[Officer, ...]:
        """Who is on the list with a code, and not on this kit yet."""
        if self._list is None or not self._roots:
            return ()
        here = {each.officer_id for each in self._gate.officers()}
        names = self._list.names
        ids = [one.officer_id for one in self._list.enrolments if one.officer_id not in here]
        return tuple(Officer(officer_id, names[officer_id]) for officer_id in ids)

    def enrol(self, session: Session | None, officer_id: str, code: str, pin: str) -> None:
        """Let an officer in, on the word of the one who is in and with the code that the officer was given.

        Refused locked; KitError no-enrolment, too-many-tries, wrong-enrolment, enrolment-expired,
        weak-pin."""
        if session is None:
            raise Refused(Code.LOCKED)
        sealed = self._sealed(officer_id)
        counted = f"enrolment:{officer_id}"
        if self._tries.standing(counted).wait_s:
            raise KitError(Code.TOO_MANY_TRIES, Remedy.OFFICER)
        self._tries.count(counted)
        try:
            told = enrolment.open_(sealed, code, self._kit_id, officer_id, self._roots, self._now())
        except BadEnrolment as problem:
            log.warning("enrolment-refused", officer=officer_id, code=problem.code, detail=problem.detail)
            code_of = _SAYS.get(problem.code, Code.NO_ENROLMENT)
            retry = code_of is Code.WRONG_ENROLMENT
            raise KitError(code_of, Remedy.RETRY if retry else Remedy.WORKSHOP) from problem
        if roster.is_used(self._database, told.nonce):
            raise KitError(Code.ENROLMENT_EXPIRED, Remedy.WORKSHOP, "used before")
        added = self._access.note("officer-added", officer_id)

        def note(tx: Transaction) -> None:
            roster.use(tx, told.nonce)
            added(tx)

        chain = b"".join(one.public_bytes(Encoding.PEM) for one in told.chain)
        name = self._name(officer_id)
        self._passed("roster:before")
        try:
            self._gate.add_officer(
                session.vault, officer_id, name, pin, newcomer.write_key(told.key), chain, note
            )
        except WeakPin as weak:
            self._tries.clear(counted)
            raise KitError(Code.WEAK_PIN, Remedy.RETRY) from weak
        self._passed("roster:after")
        self._tries.clear(counted)
        log.info("officer-added", officer=officer_id, by=session.officer.officer_id)
        self._access.push()

    def _sealed(self, officer_id: str) -> bytes:
        if officer_id not in {each.officer_id for each in self.waiting()}:
            raise KitError(Code.NO_ENROLMENT, Remedy.WORKSHOP)
        assert self._list is not None
        (text,) = [one.sealed for one in self._list.enrolments if one.officer_id == officer_id]
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    def _name(self, officer_id: str) -> str:
        assert self._list is not None  # it named the enrolment
        return self._list.names[officer_id]

    def _now(self) -> datetime:
        """Setting the clock back makes no old code young."""
        return max(self._clock.now(), self._calendar.known())
