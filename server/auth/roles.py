"""What each role may do: one table, read by the gate in front of every page and by the domain behind it."""

from dataclasses import dataclass
from typing import Literal, get_args

from server.db.scope import EVERYONE, Scope, only

Role = Literal["planner", "inclusion", "admin", "fleet-admin"]
Power = Literal[
    "see-fleet",  # dashboard, kits, visits and applications: no citizen by name
    "see-requests",  # citizens' requests, with name and address
    "make-requests",
    "plan",
    "decide",  # what becomes of what a kit did for a visit that was no longer its own
    "release",  # let a stuck application go on
    "see-metrics",
    "revoke",  # refuse a kit everywhere, for good
    "acknowledge",  # say that an incident was looked into
    "report-lost",  # a kit that is lost, or found again
    "manage-officers",  # who may open which kit
    "steer",  # give kits jobs and settings
]
ROLES: tuple[Role, ...] = get_args(Role)

MAY: dict[Role, frozenset[Power]] = {
    "planner": frozenset({"see-fleet", "see-requests", "make-requests", "plan", "decide", "release"}),
    "inclusion": frozenset({"see-fleet", "see-requests", "make-requests", "decide"}),
    "admin": frozenset(
        {"see-fleet", "release", "see-metrics", "acknowledge", "report-lost", "manage-officers", "steer"}
    ),
    "fleet-admin": frozenset(
        {
            *("see-fleet", "release", "see-metrics", "revoke", "acknowledge", "report-lost"),
            *("manage-officers", "steer"),
        }
    ),
}


@dataclass(frozen=True)
class Actor:
    """The person (or the command line) on whose behalf something is done."""

    account_id: str
    name: str
    role: Role
    tenant: str | None  # None for a fleet-admin

    @property
    def scope(self) -> Scope:
        return EVERYONE if self.tenant is None else only(self.tenant)

    def may(self, power: Power) -> bool:
        return power in MAY[self.role]
