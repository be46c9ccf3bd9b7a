"""How often a PIN may be tried: five times, then after waits that grow; counted on disk before each try.

A wait counts down only while the agent runs, on the monotonic clock, and its progress is written down now
and then. So neither a restart nor a clock set forward or back ever shortens it; a restart may lengthen it a
little. Nothing here trusts the wall clock, which a thief can set.
"""

import math
from dataclasses import dataclass

from device.ports import Clock
from device.vault.database import Database, Transaction

FREE_TRIES = 5
WAITS = (30, 60, 120, 300, 900, 3600)  # seconds after the 5th, 6th, ... wrong PIN; the last one stays
_WRITTEN_EVERY = 10.0  # seconds of waiting that a restart can cost at most


@dataclass(frozen=True)
class Standing:
    """Tries left before a wait comes, and whole seconds of the wait that still runs."""

    tries_left: int
    wait_s: int


class Tries:
    """The counters, one per officer: whoever knows one PIN cannot reset the count for another's."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._since = clock.monotonic()  # until when the waits on disk have been counted down

    def standing(self, officer_id: str) -> Standing:
        """How `officer_id` stands now. Also writes down how far the waits have come."""
        self._count_down()
        row = self._database.row("SELECT failures, wait_s FROM tries WHERE officer_id = ?", (officer_id,))
        failures, wait = row or (0, 0.0)
        left = wait - (self._clock.monotonic() - self._since)
        return Standing(max(FREE_TRIES - failures, 0), max(math.ceil(left), 0))

    def last_tried(self) -> str | None:
        """Who tried last and has failures on the count."""
        row = self._database.row(
            "SELECT officer_id FROM tries WHERE failures > 0 AND officer_id NOT LIKE '%:%'"
            " ORDER BY last DESC LIMIT 1"
        )
        return None if row is None else str(row[0])

    def count(self, officer_id: str) -> None:
        """Put a failure on the count, on disk, before the PIN is looked at; `clear` takes it off again."""
        with self._database.transaction() as tx:
            self._write_down(tx)
            row = tx.execute("SELECT failures FROM tries WHERE officer_id = ?", (officer_id,)).fetchone()
            failures = 1 if row is None else row[0] + 1
            wait = WAITS[min(failures - FREE_TRIES, len(WAITS) - 1)] if failures >= FREE_TRIES else 0
            tx.execute(
                "INSERT OR REPLACE INTO tries VALUES (?, ?, ?,"
                " (SELECT COALESCE(MAX(last), 0) + 1 FROM tries))",
                (officer_id, failures, wait),
            )

    def clear(self, officer_id: str) -> None:
        """The PIN was right."""
        with self._database.transaction() as tx:
            tx.execute("DELETE FROM tries WHERE officer_id = ?", (officer_id,))

    def _count_down(self) -> None:
        waiting = self._database.row("SELECT 1 FROM tries WHERE wait_s > 0 LIMIT 1") is not None
        passed = self._clock.monotonic() - self._since
        if not waiting:
            self._since = self._clock.monotonic()
        elif passed >= _WRITTEN_EVERY and not self._database.in_transaction:
            with self._database.transaction() as tx:
                self._write_down(tx)

    def _write_down(self, tx: Transaction) -> None:
        now = self._clock.monotonic()
        tx.execute("UPDATE tries SET wait_s = MAX(wait_s - ?, 0.0)", (now - self._since,))
        self._since = now
