"""What is here only while an officer is unlocked: the open vault, who it is, today's visits with names."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from device.agent.sealing import read_request
from device.agent.snapshot import Officer
from device.agent.visit import Visit
from device.errors import KitError
from device.vault.store import OpenVault
from protocol.bag import BagVisit, OpenedBag
from protocol.sealed import agekeys

log = structlog.get_logger()

OWN = "kit"
"""The vault's own shelf for what belongs to no visit."""

_IDENTITY = "bag-identity"


@dataclass
class Session:
    vault: OpenVault = field(repr=False)
    officer: Officer
    requests: dict[str, BagVisit] = field(default_factory=dict, repr=False)  # by visit id
    bag_date: str = ""
    bag_version: int = 0
    aside: tuple[str, ...] = ()  # visits of the bag that this version cannot read, whoever's they are
    lost: frozenset[str] = frozenset()  # this officer's open ones that cannot be read any more
    others: tuple[BagVisit, ...] = field(default=(), repr=False)  # of the bag, planned with another officer

    def take_bag(self, opened: OpenedBag, visits: Mapping[str, Visit]) -> None:
        """List the officer's visits of the bag; what is open stays as it was asked for when it was opened."""
        bag, self.aside = opened.bag, opened.aside
        kept = {
            visit_id: self.requests[visit_id] for visit_id in self.requests if is_open(visits.get(visit_id))
        }
        shut = {visit_id for visit_id in self.lost if not self.vault.opens(visit_id)}
        mine = {
            each.visit_id: each
            for each in bag.visits
            if each.officer_id == self.officer.officer_id and each.visit_id not in shut
        }
        self.requests = {**mine, **kept}
        self.others = tuple(each for each in bag.visits if each.visit_id not in mine)
        self.lost -= self.requests.keys()  # the bag has brought the request again
        self.bag_date = bag.date
        self.bag_version = bag.version


def is_open(visit: Visit | None) -> bool:
    """Whether it was begun, and is neither sealed nor given up: its records are in the vault."""
    return visit is not None and visit.sealed is None and visit.abandoned is None and visit.expired is None


def begin(vault: OpenVault, visits: Mapping[str, Visit]) -> Session:
    """The session of the officer who opened the vault, with the visits that officer has open."""
    session = Session(vault, Officer(vault.officer_id, vault.name))
    for visit_id, visit in visits.items():
        if not is_open(visit) or visit.opened is None or visit.opened.officer_id != vault.officer_id:
            continue
        try:
            session.requests[visit_id] = read_request(visit_id, vault)
        except KitError as problem:  # one damaged visit must not keep the officer from all others
            log.error("visit-unreadable", visit=visit_id, code=str(problem.code), detail=problem.detail)
            session.lost |= {visit_id}
    return session


def make_bag_key(vault: OpenVault) -> str:
    """A new key pair for the day bag; the secret half stays in the vault. The recipient (age1pq1...)."""
    identity, recipient = agekeys.generate()
    with vault.database.transaction() as tx:
        vault.new_visit_key(tx, OWN, slot=False)
        vault.put(tx, OWN, _IDENTITY, "key", identity.encode())
    return recipient


def bag_recipient(vault: OpenVault) -> str:
    """To whom the fleet seals the bag."""
    return agekeys.recipient_of(bag_identity(vault))


def bag_identity(vault: OpenVault) -> str:
    """What opens the bag."""
    return vault.get(OWN, _IDENTITY).data.decode()
