"""What was seen of every application, and what must be true of it: the judge of a run, with no I/O.

It knows nothing of how the programs work; it compares what the kits gave, what the fleet and the service say
they have, and what was seen on the way.
"""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Given:
    """A sealed application as the kit gives it to its spool, with the events told of it. `supplements`: the
    packet of which it brings a part anew."""

    packet_id: str
    kit_id: str
    visit_id: str
    manifest_sha256: str
    events: tuple[str, ...]
    supplements: str = ""


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


@dataclass(frozen=True)
class Look:
    """Everybody's figures at one moment, each read after those on its left: what a packet has reached later
    it can only have reached if it is in the figure to its right."""

    receipted: int  # packets whose receipt a kit has verified
    answered: int  # accepted, or asked for a part, by the fleet's book
    taken: int  # lines at the service
    arrived: int  # whole at the fleet
    created: int  # known to the fleet
    given: int  # by the kits
    tally: tuple[int, int, int, int, int]  # created, queued, sent, accepted, refused, as the page shows them

    @property
    def chain(self) -> tuple[int, ...]:
        return (self.receipted, self.answered, self.taken, self.arrived, self.created, self.given)


@dataclass
class History:
    """Filled while a run goes on; `violations` judges it at the end."""

    given: dict[str, Given] = field(default_factory=dict)
    receipted: dict[str, tuple[str, str]] = field(default_factory=dict)  # manifest, verdict of the receipt
    complaints: list[str] = field(default_factory=list)  # seen on the way
    looks: list[Look] = field(default_factory=list)
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
        brought = Counter(given.supplements for given in self.given.values() if given.supplements)
        asked: Counter[str] = Counter()
        for line in self.taken:
            given = self.given.get(line.packet_id)
            if given is None:
                found.append(f"{line.packet_id}: the service has it, no kit gave it")
                continue
            if line.manifest_sha256 != given.manifest_sha256 or line.verdict not in ("accepted", "recapture"):
                found.append(f"{line.packet_id}: {line.verdict} or altered at the service")
            if line.verdict == "recapture":
                asked[given.supplements or given.packet_id] += 1
        found += [
            f"{packet}: a part asked {asked[packet]} times, brought {brought[packet]} times"
            for packet in sorted(asked.keys() | brought.keys())
            if asked[packet] != brought[packet]
        ]
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
        verdicts = {line.packet_id: line.verdict for line in self.taken}
        for packet, (manifest, verdict) in self.receipted.items():
            if packet not in self.given:
                continue
            if (manifest, verdict) != (self.given[packet].manifest_sha256, verdicts.get(packet, verdict)):
                found.append(f"{packet}: the receipt is of something else")
        return found

    def _events(self) -> list[str]:
        told = [event for given in self.given.values() for event in given.events]
        return [
            *(f"event {event}: never heard" for event in told if self.heard[event] == 0),
            *(f"event {event}: heard {n} times" for event, n in self.heard.items() if n > 1),
        ]

    def _conserved(self) -> list[str]:
        """At every look: created is the sum of all states, nobody has more than whoever gave it to them, and
        nothing goes back."""
        found, before = [], (0,) * 6
        for number, look in enumerate(self.looks):
            created, *states = look.tally
            if created != sum(states):
                found.append(f"look {number}: {created} created, {states}")
            if list(look.chain) != sorted(look.chain):
                found.append(f"look {number}: more than there can be: {look}")
            if any(now < then for now, then in zip(look.chain, before, strict=True)):
                found.append(f"look {number}: a count went back: {look.chain} after {before}")
            before = look.chain
        return found
