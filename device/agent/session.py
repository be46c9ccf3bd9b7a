"""What is here only while an officer is unlocked: the open vault, who it is, today's visits with names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import structlog
from cryptography.hazmat.primitives.asymmetric import ec

from device.agent.sealing import read_request
from device.agent.snapshot import Officer
from device.agent.visit import Visit
from device.errors import Code, KitError, Remedy
from device.vault.store import OpenVault
from protocol.bag import BadBag, BagVisit, OpenedBag, open_bag
from protocol.sealed import agekeys

log = structlog.get_logger()

OWN = "kit"
"""The vault's own shelf for what belongs to no visit."""

_IDENTITY = "bag-identity"
_OLDEST = timedelta(days=1)  # names and addresses are on the kit for the day of the visits, and no longer


@dataclass
class Session:
    vault: OpenVault = field(repr=False)
    officer: Officer
    requests: dict[str, BagVisit] = field(default_factory=dict, repr=False)  # by visit id
    bag_date: str = ""
    bag_version: int = 0
    aside: int = 0  # visits of the bag that this version cannot read, whoever's they are
    others: tuple[BagVisit, ...] = field(default=(), repr=False)  # of the bag, planned with another officer

    def take_bag(self, opened: OpenedBag, visits: Mapping[str, Visit]) -> None:
        """List the officer's visits of the bag; what is open stays as it was asked for when it was opened."""
        bag, self.aside = opened.bag, len(opened.aside)
        kept = {
            visit_id: self.requests[visit_id] for visit_id in self.requests if is_open(visits.get(visit_id))
        }
        mine = {each.visit_id: each for each in bag.visits if each.officer_id == self.officer.officer_id}
        self.requests = {**mine, **kept}
        self.others = tuple(each for each in bag.visits if each.visit_id not in mine)
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
    return agekeys.recipient_of(vault.get(OWN, _IDENTITY).data.decode())


def read_bag(
    sealed: bytes,
    vault: OpenVault,
    command_keys: Mapping[str, ec.EllipticCurvePublicKey],
    kit_id: str,
    now: datetime,
) -> OpenedBag:
    """The opened bag. KitError bag-unreadable: not this kit's, not the fleet's, or not of these days."""
    try:
        opened = open_bag(sealed, vault.get(OWN, _IDENTITY).data.decode(), command_keys)
    except BadBag as problem:
        raise KitError(Code.BAG_UNREADABLE, Remedy.WORKSHOP, problem.code) from problem
    if opened.bag.kit_id != kit_id:
        raise KitError(Code.BAG_UNREADABLE, Remedy.WORKSHOP, "the bag of another kit")
    if date.fromisoformat(opened.bag.date) < now.date() - _OLDEST:
        raise KitError(Code.BAG_UNREADABLE, Remedy.OFFICER, "the bag of an earlier day")
    for visit_id in opened.aside:  # the others are worked with; the fleet should not have sent this one
        log.warning("visit-set-aside", visit=visit_id, version=opened.bag.version)
    return opened
