"""`thuisloket-fleet officer`: who goes out, and who may open which kit."""

import base64
import binascii
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli import REFUSED, Config, Json, end, failures, opened, say

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Tenant = Annotated[str, typer.Option(help="KBO number of the municipality, ten digits.")]
OfficerId = Annotated[str, typer.Argument(metavar="OFFICER", help="As in an.peeters.")]
Kit = Annotated[str, typer.Option(help="The kit.")]
LONGEST = 64 * 1024

officer = typer.Typer(no_args_is_help=True, help="Who goes out, and who may open which kit.")


@officer.command("add")
def officer_add(
    config: Config,
    officer_id: Annotated[str, typer.Option("--id")],
    name: Annotated[str, typer.Option()],
    tenant: Tenant,
    as_json: Json = False,
) -> None:
    """Add an officer."""
    from server.fleet import officers

    with _writing(config) as db:
        officers.add(db, officer_id, name, tenant)
    say({"officer_id": officer_id}, as_json)


@officer.command("list")
def officer_list(config: Config, kit: Kit, as_json: Json = False) -> None:
    """Who may open a kit: on it since when, or with a code until when."""
    from server.db.scope import EVERYONE
    from server.fleet import rosters

    with failures(), opened(config) as (_, database), database.reading(EVERYONE) as db:
        lines = rosters.lines(db, kit, datetime.now(UTC))
    told = [{"officer_id": line.officer_id, "name": line.name, "state": line.state} for line in lines]
    if as_json:
        sys.stdout.write(json.dumps({"kit_id": kit, "officers": told}) + "\n")
    else:
        sys.stdout.write("".join(f"{one['officer_id']:<40} {one['state']}\n" for one in told))


@officer.command("assign")
def officer_assign(config: Config, officer_id: OfficerId, kit: Kit, as_json: Json = False) -> None:
    """Put an officer on the list of a kit. With a code of `thuisloket-provision officer enrol` the officer
    can then be let in at the kit.
    """
    from server.fleet import rosters

    with _writing(config) as db:
        rosters.put(db, kit, officer_id, datetime.now(UTC))
    say({"officer_id": officer_id, "kit_id": kit}, as_json)


@officer.command("withdraw")
def officer_withdraw(config: Config, officer_id: OfficerId, kit: Kit, as_json: Json = False) -> None:
    """Take an officer off the list of a kit, which shuts the officer out when it next hears of it."""
    from server.fleet import rosters

    with _writing(config) as db:
        rosters.take(db, kit, officer_id, datetime.now(UTC), last=rosters.is_last(db, kit, officer_id))
    say({"officer_id": officer_id, "kit_id": kit}, as_json)


@officer.command("enrol")
def officer_enrol(
    config: Config,
    officer_id: OfficerId,
    kit: Kit,
    until: Annotated[str, typer.Option(help="An instant with its zone.")],
    as_json: Json = False,
) -> None:
    """Keep what lets a listed officer in with a code; base64 on stdin, from `thuisloket-provision`."""
    from protocol.instant import read_instant
    from server.fleet import rosters

    try:
        sealed = base64.b64decode(sys.stdin.read(LONGEST).strip(), validate=True)
        not_after = read_instant(until)
    except (binascii.Error, ValueError) as problem:
        end(REFUSED, "bad-enrolment", str(problem))
    with _writing(config) as db:
        rosters.enrol(db, kit, officer_id, sealed, not_after, datetime.now(UTC))
    say({"officer_id": officer_id, "kit_id": kit, "until": until}, as_json)


@contextmanager
def _writing(config: Config) -> "Iterator[Session]":
    from server.db.scope import EVERYONE

    with failures(), opened(config) as (_, database), database.writing(EVERYONE) as db:
        yield db
