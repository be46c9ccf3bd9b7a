"""`thuisloket-fleet broker`: check the broker, install revocation lists, put its clients right."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from server import logs
from server.cli import FAILED, Config, Json, end, failures, opened, say

app = typer.Typer(no_args_is_help=True, help="The MQTT broker that this fleet manages.")


@app.command()
def check(
    config: Config,
    only: Annotated[list[str] | None, typer.Option(help="This check alone; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Try the broker with canary kits, and a second one like it with kills and broken lists.

    Exit 0 when all is green. What is red keeps a fleet in production mode from starting."""
    from server.broker import configuration
    from server.broker.checks import advice
    from server.broker.checks import all as checks
    from server.work import utc_now

    logs.set_up("broker")
    if unknown := set(only or ()) - {one.name for one in checks.CHECKS}:
        raise typer.BadParameter(f"no such check: {', '.join(sorted(unknown))}")
    with failures(), opened(config) as (fleet, database):
        results = checks.run(database, fleet, utc_now, only or ())
        better = advice.advice(configuration.read(fleet.broker.configuration)) if fleet.broker else []
    red = [result for result in results if not result.ok]
    if as_json:
        told = [
            {
                "name": result.name,
                "trap": result.trap,
                "state": "ok" if result.ok else "fail",
                "detail": result.detail,
                "remedy": result.remedy,
            }
            for result in results
        ]
        hints = [asdict(each) for each in better]
        sys.stdout.write(json.dumps({"safe": not red, "checks": told, "advice": hints}) + "\n")
    else:
        for result in results:
            sys.stdout.write(f"{'ok  ' if result.ok else 'FAIL'} {result.name:<20} {result.detail}\n")
            if result.remedy:
                sys.stdout.write(f"     {'':<20} -> {result.remedy}\n")
        for each in better:
            there = f"instead of `{each.now}`" if each.now else "as a new line"
            sys.stdout.write(f"hint {each.why}\n")
            sys.stdout.write(
                f"     {'':<20} -> `{each.line}` {there} in mosquitto.conf, and start mosquitto anew\n"
            )
    if red:
        end(FAILED, "broker-unsafe", f"{len(red)} of {len(results)} checks are red")


@app.command()
def agree(config: Config, as_json: Json = False) -> None:
    """Make the broker know exactly the kits of this fleet (the job worker does so every five minutes)."""
    from server.broker.steward import Manager
    from server.work import utc_now

    with failures(), opened(config) as (fleet, database):
        added, removed, righted = Manager(database, fleet, utc_now).agree()
    say({"added": added, "removed": removed, "righted": righted}, as_json)


@app.command()
def install(
    config: Config,
    release: Annotated[
        Path | None, typer.Option(help="Folder of `thuisloket-provision ca release`; else broker.release.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Install revocation lists at broker and listener: judged, written whole, tried, taken back if they
    fail.
    """
    from server.broker.release import Release
    from server.broker.steward import Manager
    from server.broker_words import listens
    from server.work import utc_now

    with failures(), opened(config) as (fleet, database):
        manager = Manager(database, fleet, utc_now)
        manager.install(Release(release or manager.settings.release), listening=listens(fleet.kits))
    say({"installed": True}, as_json)
