"""What was seen of every application, and what must be true of it: the judge of a run, with no I/O.

It knows nothing of how the programs work; it compares what the kits gave, what the fleet and the service say
they have, and what was seen on the way.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Given:
    """A sealed application as the kit gave it to its spool, with the events told of it."""

    packet_id: str
    kit_id: str
    visit_id: str
    manifest_sha256: str
    events: tuple[str, ...]


@dataclass(frozen=True)
class Taken:
    """A line of the competent service's ledger."""

    packet_id: str
    visit_id: str
    manifest_sha256: str
    verdict: str


@dataclass(frozen=True)
class Known:
    """The fleet's row of an application."""

    packet_id: str
    state: str
    manifest_sha256: str


@dataclass
class History:
    """Filled while a run goes on; `violations` judges it at the end."""

    given: dict[str, Given] = field(default_factory=dict)
    receipted: dict[str, str] = field(default_factory=dict)  # packet -> manifest in the verified receipt
    complaints: list[str] = field(default_factory=list)  # seen on the way
    counts: list[tuple[int, Mapping[str, int]]] = field(default_factory=list)  # rows, and rows by state
    taken: list[Taken] = field(default_factory=list)
    known: list[Known] = field(default_factory=list)
    heard: Counter[str] = field(default_factory=Counter)  # message id -> how often it is in the fleet's books
    left: list[str] = field(default_factory=list)  # what lies about at the end and should not

    def violations(self) -> list[str]:
        """Everything that is wrong, in words; empty when each application arrived exactly once."""
        return [
            *self.complaints,
            *self._service(),
            *self._fleet(),
            *self._events(),
            *self._conserved(),
            *(
                f"{packet}: no receipt on the kit"
                for packet in sorted(self.given.keys() - self.receipted.keys())
            ),
            *(f"left behind: {what}" for what in self.left),
        ]

    def _service(self) -> list[str]:
        found = []
        lines = Counter(line.packet_id for line in self.taken)
        found += [f"{packet}: {n} lines at the service" for packet, n in lines.items() if n != 1]
        visits = Counter(line.visit_id for line in self.taken)
        found += [f"visit {visit}: {n} applications at the service" for visit, n in visits.items() if n != 1]
        found += [
            f"{packet}: never reached the service" for packet in sorted(self.given.keys() - lines.keys())
        ]
        for line in self.taken:
            given = self.given.get(line.packet_id)
            if given is None:
                found.append(f"{line.packet_id}: the service has it, no kit gave it")
            elif (line.manifest_sha256, line.verdict) != (given.manifest_sha256, "accepted"):
                found.append(f"{line.packet_id}: {line.verdict} or altered at the service")
        return found

    def _fleet(self) -> list[str]:
        found = []
        rows = Counter(row.packet_id for row in self.known)
        found += [f"{packet}: {n} rows at the fleet" for packet, n in rows.items() if n != 1]
        found += [f"{packet}: unknown to the fleet" for packet in sorted(self.given.keys() - rows.keys())]
        for row in self.known:
            given = self.given.get(row.packet_id)
            if given is None:
                found.append(f"{row.packet_id}: the fleet has it, no kit gave it")
            elif (row.state, row.manifest_sha256) != ("accepted", given.manifest_sha256):
                found.append(f"{row.packet_id}: {row.state} or altered at the fleet")
        for packet, manifest in self.receipted.items():
            if packet in self.given and manifest != self.given[packet].manifest_sha256:
                found.append(f"{packet}: the receipt is of something else")
        return found

    def _events(self) -> list[str]:
        told = [event for given in self.given.values() for event in given.events]
        return [
            *(f"event {event}: never heard" for event in told if self.heard[event] == 0),
            *(f"event {event}: heard {n} times" for event, n in self.heard.items() if n > 1),
        ]

    def _conserved(self) -> list[str]:
        """Created is the sum of all states at every look, and neither it nor what was accepted ever falls."""
        found, rows_before, accepted_before = [], 0, 0
        for number, (rows, states) in enumerate(self.counts):
            if rows != sum(states.values()):
                found.append(f"look {number}: {rows} created, {dict(states)}")
            if rows < rows_before or states.get("accepted", 0) < accepted_before:
                found.append(f"look {number}: a count went back: {rows} created, {dict(states)}")
            rows_before, accepted_before = rows, states.get("accepted", 0)
        return found
