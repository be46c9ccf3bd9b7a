"""`thuisloket-fleet`: run the server, prepare its database, describe its API; and administer what is in it.

Rooms are imported by the command that needs them, so that each program starts as fast as it can.
"""

import json
import sys
import threading
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from server import (
    administration,
    auditing,
    broker_commands,
    certificate_commands,
    couriering,
    logs,
    steering,
)
from server.cli import Config, Json, failures, opened, say
from server.config import read
from server.processes import Supervisor, on_stop

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
administration.add_to(app)
steering.add_to(app)
app.add_typer(couriering.courier, name="courier")
app.command()(auditing.custody)
app.add_typer(broker_commands.app, name="broker")
app.add_typer(certificate_commands.app, name="certificates")


class Part(StrEnum):
    PAGES = "pages"
    KITS = "kits"


@app.command()
def serve(
    config: Config,
    only: Annotated[Part | None, typer.Option(help="One of the two listeners, in this process.")] = None,
) -> None:
    """Serve the pages and the listener for kits."""
    if only is None:
        _supervise(config, ["pages", "kits"])
    else:
        _program(config, only)


@app.command()
def ingest(config: Config) -> None:
    """Take in what kits say over MQTT, and answer them."""
    _program(config, "ingest")


@app.command()
def work(config: Config) -> None:
    """Do what waits: day bags, and forwarding to the competent services."""
    _program(config, "work")


@app.command("all")
def all_(config: Config) -> None:
    """Everything on one machine. The embedded database is migrated first; another one is not."""
    with failures():
        if not read(config).database.url:
            from server.db import schema

            with opened(config, checked=False) as (_, database):
                if schema.revision(database) != schema.HEAD:
                    schema.migrate(database)
    _supervise(config, ["pages", "kits", "ingest", "work"])


@app.command()
def migrate(config: Config, as_json: Json = False) -> None:
    """Bring the database to the shape this version needs."""
    from server.db import schema
    from server.db.engine import Database

    with failures(), opened(config, checked=False) as (fleet, database):
        owner = Database(fleet.database.owner_url) if fleet.database.owner_url else database
        try:
            before = schema.migrate(owner, None if owner is database else database.url.username)
        finally:
            owner.close()
    say({"before": before, "now": schema.HEAD}, as_json)


@app.command()
def openapi() -> None:
    """Print the description of the API."""
    from server.app import describe

    sys.stdout.write(json.dumps(describe(), indent=1, sort_keys=True) + "\n")


def _program(config: Path, name: str) -> None:
    """One program, in this process, until it is told to stop."""
    logs.set_up(name)
    with failures():
        from server import running

        running.PROGRAMS[name](read(config))


def _supervise(config: Path, names: Sequence[str]) -> None:
    """Run these programs until this process is told to stop. They end with it, however it ends."""
    logs.set_up("fleet")
    # Imported before the programs fork off, so that all of them have it at once.
    from server import kit_app, running

    del kit_app
    with failures(), opened(config) as (fleet, database):
        # What is wrong is told once here, and not by every program again and again.
        running.require_safe_broker(fleet, database)
    stop = threading.Event()
    on_stop(stop.set)
    Supervisor({name: partial(_program, config.resolve(), name) for name in names}).run(stop)
