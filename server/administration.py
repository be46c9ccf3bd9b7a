"""What an administrator does on the command line: municipalities, accounts, officers, kits, requests, visits,
for a fleet that is being set up. The same domain functions as behind the pages.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from server import logs
from server.broker_words import listens, tell_revocation
from server.cli import FAILED, Config, Json, end, failures, opened, say
from server.rostering import officer

Tenant = Annotated[str, typer.Option(help="KBO number of the municipality, ten digits.")]
LONGEST_INPUT = 1024 * 1024

municipality = typer.Typer(no_args_is_help=True, help="Municipalities of the fleet.")
account = typer.Typer(no_args_is_help=True, help="Who may sign in.")
kit = typer.Typer(no_args_is_help=True, help="The kits.")
request = typer.Typer(no_args_is_help=True, help="Requests for a visit.")
visit = typer.Typer(no_args_is_help=True, help="Visits.")


def add_to(app: typer.Typer) -> None:
    """Hang all of these commands under `app`."""
    for name, group in {
        "municipality": municipality,
        "account": account,
        "officer": officer,
        "kit": kit,
        "request": request,
        "visit": visit,
    }.items():
        app.add_typer(group, name=name)
    app.command("load")(load)


@municipality.command("add")
def municipality_add(
    config: Config,
    tenant: Tenant,
    name: Annotated[str, typer.Option()],
    postcodes: Annotated[str, typer.Option(help="Separated by commas.")],
    as_json: Json = False,
) -> None:
    """Add a municipality and the postcodes it answers for."""
    _load(config, {"municipalities": [{"tenant": tenant, "name": name, "postcodes": postcodes.split(",")}]})
    say({"tenant": tenant}, as_json)


@account.command("add")
def account_add(
    config: Config,
    name: Annotated[str, typer.Option()],
    role: Annotated[str, typer.Option(help="planner, inclusion, admin or fleet-admin.")],
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Required: where it comes from.")],
    tenant: Annotated[str, typer.Option(help="Not for a fleet-admin.")] = "",
    as_json: Json = False,
) -> None:
    """Add an account; its password is the first line of stdin (15 characters or more)."""
    if not password_stdin:
        raise typer.BadParameter("a password is given on stdin, never as an argument")
    password = sys.stdin.readline(1024).rstrip("\n")
    entry = {"name": name, "role": role, "tenant": tenant, "password": password}
    made = _load(config, {"accounts": [entry]})
    say({"account_id": made["accounts"][0], "name": name}, as_json)


@kit.command("add")
def kit_add(
    config: Config,
    kit_id: Annotated[str, typer.Argument(metavar="KIT")],
    bag_recipient: Annotated[str, typer.Option(help="The kit's bag key, age1pq1...")],
    tenant: Annotated[list[str], typer.Option(help="A municipality it serves; may be repeated.")],
    officers: Annotated[
        list[str] | None, typer.Option("--officer", help="Whom it was founded with; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Add a kit. With officers the fleet keeps the list of who may open it."""
    entry = {"id": kit_id, "bag_recipient": bag_recipient, "tenants": tenant, "officers": officers or []}
    _load(config, {"kits": [entry]})
    say({"kit_id": kit_id}, as_json)


ReleaseFolder = Annotated[
    Path | None, typer.Option("--release", help="Folder of `thuisloket-provision ca release` naming the kit.")
]


@kit.command("retire")
def kit_retire(
    config: Config,
    kit_id: Annotated[str, typer.Argument(metavar="KIT")],
    release: ReleaseFolder = None,
    as_json: Json = False,
) -> None:
    """Accept nothing more from a kit, and give it nothing."""
    _revoke(config, kit_id, "retired", release, as_json)


@kit.command("lost")
def kit_lost(
    config: Config,
    kit_id: Annotated[str, typer.Argument(metavar="KIT")],
    release: ReleaseFolder = None,
    as_json: Json = False,
) -> None:
    """A kit is lost or stolen: refused everywhere at once. Tells each effect with its time."""
    _revoke(config, kit_id, "lost", release, as_json)


def _revoke(
    config: Path, kit_id: str, reason: Literal["lost", "retired"], release: Path | None, as_json: bool
) -> None:
    from server.broker.problem import BrokerProblem
    from server.broker.release import Release
    from server.broker.steward import Manager
    from server.db.scope import EVERYONE
    from server.fleet import revocations
    from server.work import utc_now

    logs.set_up("kit")
    problem: BrokerProblem | None = None
    with failures(), opened(config) as (fleet, database):
        with database.writing(EVERYONE) as db:
            revocations.begin(db, kit_id, reason, "command line", utc_now())
        manager = Manager(database, fleet, utc_now)
        try:
            manager.settle(kit_id, Release(release) if release else None, listening=listens(fleet.kits))
        except BrokerProblem as raised:
            problem = raised
        with database.reading(EVERYONE) as db:
            standing = revocations.standing(db, kit_id)
    assert standing is not None
    tell_revocation(kit_id, standing, as_json)
    if problem is not None and fleet.broker is not None:
        end(FAILED, problem.code, problem.remedy)


@kit.command("missing")
def kit_missing(config: Config, kit_id: Annotated[str, typer.Argument(metavar="KIT")]) -> None:
    """A kit is missing: hand out no lease and no bag any more, so that it closes by itself."""
    from server.db.scope import EVERYONE
    from server.fleet import kits

    with failures(), opened(config) as (_, database), database.writing(EVERYONE) as db:
        kits.missing(db, kit_id, datetime.now(UTC))


@kit.command("found")
def kit_found(config: Config, kit_id: Annotated[str, typer.Argument(metavar="KIT")]) -> None:
    """A missing kit is back: it opens again when it is next online."""
    from server.db.scope import EVERYONE
    from server.fleet import kits

    with failures(), opened(config) as (_, database), database.writing(EVERYONE) as db:
        kits.found(db, kit_id, datetime.now(UTC))


@request.command("add")
def request_add(config: Config, as_json: Json = False) -> None:
    """Add a request; the fields of the public form as one JSON object on stdin."""
    from server import trust
    from server.db.scope import EVERYONE
    from server.fleet import drafts, requests, visits

    with failures(), opened(config) as (fleet, database):
        now = datetime.now(UTC)
        draft = drafts.read(_object(), visits.local_day(now))
        with database.writing(EVERYONE) as db:
            made = requests.make(db, trust.field_key(fleet.keys), draft, now)
    say(
        {
            "request_id": made.request_id,
            "code": made.code,
            "tenant": made.tenant,
            "merged": made.merged,
        },
        as_json,
    )


@visit.command("plan")
def visit_plan(
    config: Config,
    request_id: Annotated[str, typer.Option("--request")],
    officer_id: Annotated[str, typer.Option("--officer")],
    kit_id: Annotated[str, typer.Option("--kit")],
    starts: Annotated[str, typer.Option(help="An instant with its zone, 2026-11-23T14:00:00+01:00.")],
    minutes: Annotated[int, typer.Option()] = 45,
    as_json: Json = False,
) -> None:
    """Give a request to an officer and a kit."""
    from server.auth.roles import Actor
    from server.db.scope import EVERYONE
    from server.db.tables import Request
    from server.fleet import visits
    from server.fleet.refused import Refused

    try:
        at = datetime.fromisoformat(starts)
    except ValueError as problem:
        raise typer.BadParameter("not an instant") from problem
    if at.tzinfo is None:
        raise typer.BadParameter("an instant with its zone")
    with failures(), opened(config) as (_, database):
        with database.reading(EVERYONE) as db:
            row = db.get(Request, request_id)
        if row is None:
            raise Refused("unknown-request")
        clerk = Actor("", "command line", "planner", row.tenant)
        with database.writing(clerk.scope) as db:
            made = visits.plan(db, clerk, request_id, officer_id, kit_id, at, minutes, datetime.now(UTC))
    say({"visit_id": made.visit_id}, as_json)


def load(config: Config, as_json: Json = False) -> None:
    """Add many at once, all or nothing: a JSON object on stdin with any of `municipalities` (tenant, name,
    postcodes), `officers` (id, name, tenant), `accounts` (name, role, tenant, password) and `kits` (id,
    bag_recipient, tenants)."""
    with failures():
        given = _object()
    made = _load(config, given)
    say({name: len(rows) for name, rows in made.items()}, as_json)


def _load(config: Path, given: dict[str, Any]) -> dict[str, list[str]]:
    from server.db.scope import EVERYONE
    from server.fleet import setup

    with failures(), opened(config) as (_, database), database.writing(EVERYONE) as db:
        return setup.add(db, given, datetime.now(UTC))
    raise AssertionError  # `failures` ends the program


def _object() -> dict[str, Any]:
    from server.fleet.refused import Invalid

    text = sys.stdin.read(LONGEST_INPUT + 1)
    try:
        if len(text) > LONGEST_INPUT:
            raise ValueError("too long")
        given = json.loads(text)
        if not isinstance(given, dict):
            raise TypeError("not an object")
    except (ValueError, TypeError, RecursionError) as problem:
        raise Invalid({"stdin": "not-a-json-object"}) from problem
    return given
