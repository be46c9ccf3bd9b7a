"""`thuisloket-fleet courier`: sealed packets in from a stick, receipts out to one."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli import Config, Json, failures, opened, say_object

if TYPE_CHECKING:  # importing it takes longer than most commands
    from server.fleet.courier import Carried

REFUSED = 3

courier = typer.Typer(no_args_is_help=True, help="Sealed packets and receipts on a stick.")
Stick = Annotated[Path, typer.Argument(metavar="DIR", help="the stick, or any folder")]


@courier.command("import")
def take_in(stick: Stick, config: Config, as_json: Json = False) -> None:
    """Take in every sealed packet on the stick. May be done twice."""
    from server.fleet import courier as carrying
    from server.kit_app import make_dock
    from server.work import utc_now

    with failures(), opened(config) as (fleet, database):
        _tell(carrying.take_in(database, make_dock(fleet), stick, utc_now), as_json)


@courier.command("export")
def give_out(stick: Stick, config: Config, as_json: Json = False) -> None:
    """Put every receipt that no kit has confirmed onto the stick. May be done twice."""
    from server.fleet import courier as carrying

    with failures(), opened(config) as (_, database):
        _tell(carrying.give_out(database, stick), as_json)


def _tell(carried: "Iterator[Carried]", as_json: bool) -> None:
    files = list(carried)
    counts = {name: sum(each.outcome == name for each in files) for name in ("taken", "there", "refused")}
    lines = [f"{each.what} {each.packet_id}  {each.outcome}  {each.code}".rstrip() for each in files]
    lines.append("  ".join(f"{name}: {count}" for name, count in counts.items()))
    say_object({**counts, "files": [asdict(each) for each in files]}, lines, as_json)
    if counts["refused"]:
        raise typer.Exit(REFUSED)
