"""`thuisloket-fleet certificates`: what kits show, and the way by hand to an authority that is elsewhere."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from server import logs
from server.cli import FAILED, Config, Json, end, failures, opened, say, say_object

app = typer.Typer(no_args_is_help=True, help="The kits' certificates and their renewal.")


@app.command("list")
def list_certificates(config: Config, as_json: Json = False) -> None:
    """Each certificate that a kit is known to use, and whether it is being renewed."""
    from server.db.scope import EVERYONE
    from server.fleet import renewals

    with failures(), opened(config) as (_, database), database.reading(EVERYONE) as db:
        rows = renewals.known(db)
    told = [
        {
            "kit_id": row.kit_id,
            "role": row.role,
            "serial": row.serial,
            "until": row.until.isoformat() if row.until else None,
            "request": row.state,
            "code": row.code,
        }
        for row in rows
    ]
    lines = [
        f"{row.kit_id:<32} {row.role:<9} {row.until:%Y-%m-%d}  {row.state} {row.code}".rstrip()
        for row in rows
        if row.until
    ]
    say_object({"certificates": told}, lines, as_json)


@app.command()
def export(
    config: Config,
    out: Annotated[Path, typer.Option(help="for `thuisloket-provision ca sign`")],
    as_json: Json = False,
) -> None:
    """Write the requests that wait into a file, to be carried to the authority."""
    import msgspec

    from server.authority.signing import MOST, Requests
    from server.db.scope import EVERYONE
    from server.fleet import renewals

    with failures(), opened(config) as (_, database), database.reading(EVERYONE) as db:
        requests = tuple(row.request for row in renewals.waiting(db)[:MOST])
    out.write_bytes(msgspec.json.encode(Requests(requests)))
    say({"requests": len(requests), "file": str(out)}, as_json)


@app.command("import")
def import_answers(
    config: Config,
    answers: Annotated[Path, typer.Argument(help="what `thuisloket-provision ca sign` wrote")],
    as_json: Json = False,
) -> None:
    """Take the authority's answers in; each kit fetches its own."""
    from server import trust
    from server.authority import clerk, signing
    from server.authority.signing import AuthorityProblem

    logs.set_up("certificates")
    with failures(), opened(config) as (fleet, database):
        try:
            read = signing.read(answers)
        except AuthorityProblem as problem:
            end(FAILED, problem.code, problem.remedy)
        outcomes = clerk.take_in(database, trust.roots(fleet.trust.roots), read, datetime.now(UTC))
    issued = outcomes.count("issued")
    say({"issued": issued, "not_issued": len(outcomes) - issued}, as_json)
