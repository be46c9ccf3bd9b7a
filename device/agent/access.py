"""What happens to the ways into the store: another PIN, a code taken; written down, and told to the fleet."""

import hashlib
from typing import Literal

import structlog

from device.agent.landmarks import Passed
from device.agent.retention import Calendar
from device.agent.session import Session
from device.errors import Code, KitError, Refused, Remedy
from device.ports import Clock
from device.spool.spool import Spool
from device.vault.database import Database, Transaction
from device.vault.gate import Gate, Note, WeakPin
from protocol.ids import new_ulid
from protocol.instant import write_instant
from protocol.messages import AccessEvent, encode_body
from protocol.topics import Tail

log = structlog.get_logger()

What = Literal["pin-changed", "code-used", "officer-added", "officer-removed", "lease-ended"]
KEPT = 1000
"""So many lines of what happened stay on the kit."""


def book(clock: Clock, what: What, officer_id: str = "") -> Note:
    """Writes it down in the transaction in which it happens."""

    def write(tx: Transaction) -> None:
        row = (new_ulid(), write_instant(clock.now()), what, officer_id)
        tx.execute("INSERT INTO access VALUES (?, ?, ?, ?, 0)", row)
        tx.execute(
            "DELETE FROM access WHERE told = 1 AND message_id NOT IN"
            " (SELECT message_id FROM access ORDER BY message_id DESC LIMIT ?)",
            (KEPT,),
        )

    return write


class Access:
    """The book of it, in the vault. All calls on the desk's thread."""

    def __init__(self, database: Database, spool: Spool, clock: Clock) -> None:
        self._database = database
        self._spool = spool
        self._clock = clock

    def note(self, what: What, officer_id: str = "") -> Note:
        return book(self._clock, what, officer_id)

    def push(self) -> None:
        """Tell the fleet what it has not been told. The same event after a cut is the same event."""
        rows = self._database.rows(
            "SELECT message_id, what, officer_id FROM access WHERE told = 0 ORDER BY message_id"
        )
        for message_id, what, officer_id in rows:
            digest = hashlib.sha256(officer_id.encode()).hexdigest() if officer_id else ""
            self._spool.report(Tail.ACCESS, encode_body(Tail.ACCESS, AccessEvent(what, digest)), message_id)
            with self._database.transaction() as tx:
                tx.execute("UPDATE access SET told = 1 WHERE message_id = ?", (message_id,))


class Ways:
    """Another PIN, by the old one or by the administrator's code."""

    def __init__(self, gate: Gate, access: Access, calendar: Calendar, clock: Clock, passed: Passed) -> None:
        self._gate = gate
        self._access = access
        self._calendar = calendar
        self._clock = clock
        self._passed = passed

    def change_pin(self, session: Session | None, old: str, new: str) -> None:
        """For the officer who is in. Refused locked; KitError as `Gate.unlock`, and weak-pin."""
        if session is None:
            raise Refused(Code.LOCKED)
        officer_id = session.officer.officer_id
        self._passed("pin:before")
        try:
            self._gate.change_pin(officer_id, old, new, self._access.note("pin-changed", officer_id))
        except WeakPin as weak:
            raise KitError(Code.WEAK_PIN, Remedy.RETRY) from weak
        self._passed("pin:after")
        log.info("pin-changed", officer=officer_id)
        self._access.push()

    def challenge(self, officer_id: str) -> str:
        return self._gate.challenge(officer_id)

    def recover(self, officer_id: str, code: str, pin: str) -> None:
        """KitError as `Gate.recover`, and weak-pin. Setting the clock back makes no old code young."""
        now = max(self._clock.now(), self._calendar.known())
        self._passed("pin:before")
        try:
            self._gate.recover(officer_id, code, pin, now, self._access.note("code-used", officer_id))
        except WeakPin as weak:
            raise KitError(Code.WEAK_PIN, Remedy.RETRY) from weak
        except KitError as problem:
            log.warning("code-refused", officer=officer_id, code=str(problem.code))
            raise
        self._passed("pin:after")
        log.info("code-used", officer=officer_id)
        self._access.push()
