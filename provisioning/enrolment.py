"""A code for a new officer of one kit: key and certificate made here, locked up under it (protocol 13)."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from protocol import enrolment
from protocol.identity import KIT_ID, OFFICER_ID
from protocol.ids import new_ulid
from protocol.instant import write_instant
from provisioning.ca import Authority
from provisioning.generations import AuthorityError
from provisioning.program import run

LONGEST = timedelta(days=7)


@dataclass(frozen=True)
class Made:
    """`code` is for the officer and nobody else; `sealed` is what the fleet keeps for the kit."""

    code: str
    sealed: bytes
    not_after: datetime


def make(authority: Authority, kit_id: str, officer_id: str, life: timedelta) -> Made:
    """AuthorityError when the names will not do, or the code would live too long."""
    if not KIT_ID.fullmatch(kit_id) or not OFFICER_ID.fullmatch(officer_id):
        raise AuthorityError("not the name of a kit and an officer")
    if not timedelta(hours=1) <= life <= LONGEST:
        raise AuthorityError("a code lives between one hour and seven days")
    leaf = authority.issue("officer", officer_id)
    chain = tuple(x509.load_pem_x509_certificates(leaf.chain_pem))
    code, not_after = enrolment.new_code(), datetime.now(UTC).replace(microsecond=0) + life
    newcomer = enrolment.Newcomer(officer_id, new_ulid(), leaf.key, chain)
    return Made(code, enrolment.seal(code, kit_id, newcomer, not_after), not_after)


def deliver(fleet_config: Path, kit_id: str, officer_id: str, made: Made) -> None:
    """Give it to the fleet, which brings it to the kit."""
    arguments = ["officer", "enrol", "--config", str(fleet_config), officer_id, "--kit", kit_id]
    run(
        "server",
        [*arguments, "--until", write_instant(made.not_after), "--json"],
        base64.b64encode(made.sealed).decode(),
    )


def listed(fleet_config: Path, kit_id: str) -> dict[str, str]:
    """The state of each officer on the list of a kit, by id."""
    told = run("server", ["officer", "list", "--config", str(fleet_config), "--kit", kit_id, "--json"])
    return {one["officer_id"]: one["state"] for one in json.loads(told)["officers"]}
