"""All visits of this kit as the journal tells them, and the one way to add a fact: on disk first."""

from collections.abc import Callable, Mapping
from functools import reduce

from device.agent.deciding import decide
from device.agent.events import Event, Expired, Open, Wish
from device.agent.journal import Journal
from device.agent.landmarks import Passed
from device.agent.visit import NEW, Visit, evolve, fold
from device.errors import Code, KitError, Remedy
from device.ports import Clock
from device.vault.database import Database, Transaction
from protocol.catalogue import BadCatalogue, Entry, narrowed
from protocol.recapture import Part

Alongside = Callable[[Transaction], None]


def nothing_else(tx: Transaction) -> None:
    """No record belongs to this fact."""


Begun = Callable[[Transaction, str], None]
"""Told of a visit in the transaction that begins it."""


def nobody(tx: Transaction, visit_id: str) -> None:
    """Nobody counts the days of a visit."""


class Cases:
    """All calls on the desk's thread."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        catalogue: Mapping[str, Entry],
        passed: Passed,
        begun: Begun = nobody,
    ) -> None:
        self._database = database
        self.journal = Journal(database)
        self._clock = clock
        self._catalogue = catalogue
        self._passed = passed
        self._begun = begun
        self.visits: dict[str, Visit] = {
            visit_id: fold(entry.event for entry in entries)
            for visit_id, entries in self.journal.read().items()
        }

    def entry(self, service_id: str, only: tuple[Part, ...] = ()) -> Entry:
        """The catalogue's entry, with the steps of the parts in `only` alone where there are any.

        KitError cannot-seal when this kit does not know the service, or the service has no such step."""
        found = self._catalogue.get(service_id)
        if found is None:
            raise KitError(Code.CANNOT_SEAL, Remedy.WORKSHOP, "a service this kit does not know")
        try:
            return narrowed(found, only)
        except BadCatalogue as problem:
            raise KitError(Code.CANNOT_SEAL, Remedy.WORKSHOP, str(problem)) from problem

    def entry_of(self, visit_id: str) -> Entry:
        opened = self.visits[visit_id].opened
        assert opened is not None  # a journal begins with Opened
        return self.entry(opened.service_id, opened.only)

    def of_packet(self, packet_id: str) -> str | None:
        """The visit whose packet this is."""
        for visit_id, visit in self.visits.items():
            if visit.sealed is not None and visit.sealed.packet_id == packet_id:
                return visit_id
        return None

    def note(self, visit_id: str, wish: Wish, alongside: Alongside = nothing_else) -> Visit:
        """Decide, write the facts and what goes `alongside` in one transaction, and only then know them.

        Refused when the wish does not fit; KitError disk-full or vault-damaged. Nothing has changed then."""
        visit = self.visits.get(visit_id, NEW)
        entry = self.entry(wish.service_id, wish.only) if isinstance(wish, Open) else self.entry_of(visit_id)
        return self._write(visit_id, decide(visit, wish, entry.service), alongside)

    def expire(self, visit_id: str, fact: Expired, alongside: Alongside) -> Visit:
        """The time of a visit is up: nobody wishes it, and neither a key nor a catalogue is needed for it."""
        return self._write(visit_id, (fact,), alongside)

    def _write(self, visit_id: str, events: tuple[Event, ...], alongside: Alongside) -> Visit:
        visit = self.visits.get(visit_id, NEW)
        self._passed("noted:before")
        with self._database.transaction() as tx:
            alongside(tx)
            if visit is NEW:
                self._begun(tx, visit_id)
            self.journal.append(tx, visit_id, self._clock.now(), events)
            after = reduce(evolve, events, visit)
        self._passed("noted:after")
        self.visits[visit_id] = after
        return after
