"""`thuisloket-fleet`: run the server, prepare its database, describe its API; and administer what is in it.

Rooms are imported by the command that needs them, so that each program starts as fast as it can.
"""

import json
import os
import sys
import threading
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from server import administration, logs
from server.cli import Config, Json, failures, opened, say
from server.config import read
from server.processes import SUPERVISED, Supervisor, end_with_parent, on_stop

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
administration.add_to(app)


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
        _supervise(config, _listeners(config))
        return
    with failures():
        from server import running

        _begin(only)
        (running.run_pages if only is Part.PAGES else running.run_kits)(read(config))


@app.command()
def ingest(config: Config) -> None:
    """Take in what kits say over MQTT, and answer them."""
    with failures():
        from server import running

        _begin("ingest")
        running.run_ingest(read(config))


@app.command()
def work(config: Config) -> None:
    """Do what waits: day bags, and forwarding to the competent services."""
    with failures():
        from server import running

        _begin("work")
        running.run_work(read(config))


@app.command("all")
def all_(config: Config) -> None:
    """Everything on one machine. The embedded database is migrated first; another one is not."""
    with failures():
        if not read(config).database.url:
            from server.db import schema

            with opened(config, checked=False) as (_, database):
                if schema.revision(database) != schema.HEAD:
                    schema.migrate(database)
    workers = {name: [name, *_config(config)] for name in ("ingest", "work")}
    _supervise(config, _listeners(config) | workers)


@app.command()
def migrate(config: Config, as_json: Json = False) -> None:
    """Bring the database to the shape this version needs."""
    from server.db import schema

    with failures(), opened(config, checked=False) as (_, database):
        before = schema.migrate(database)
    say({"before": before, "now": schema.HEAD}, as_json)


@app.command()
def openapi() -> None:
    """Print the description of the API."""
    from server.app import describe

    sys.stdout.write(json.dumps(describe(), indent=1, sort_keys=True) + "\n")


def _listeners(config: Path) -> dict[str, list[str]]:
    return {part.value: ["serve", "--only", part.value, *_config(config)] for part in Part}


def _config(config: Path) -> list[str]:
    return ["--config", str(config.resolve())]


def _begin(program: str) -> None:
    logs.set_up(program)
    if SUPERVISED in os.environ:
        end_with_parent()


def _supervise(config: Path, programs: dict[str, list[str]]) -> None:
    """Run `programs` until this process is told to stop. They end with it, however it ends."""
    logs.set_up("fleet")
    with failures(), opened(config):
        pass  # what is wrong is told once here, and not by every program again and again
    stop = threading.Event()
    on_stop(stop.set)
    Supervisor(programs).run(stop)
