"""`thuisloket-provision broker`: the configuration of the fleet's MQTT broker."""

import difflib
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from provisioning.broker import WORKER, BrokerError, BrokerSettings, configuration, user_here, write

app = typer.Typer(help=__doc__, no_args_is_help=True)

AS = "the user mosquitto, or root"


@app.callback()
def one_of_several() -> None:
    """The configuration of the fleet's MQTT broker."""  # with one command, typer would leave its name out


@app.command("write")
def write_(
    folder: Annotated[Path, typer.Argument(help=f"the broker's own; it must belong to {AS}")],
    release: Annotated[Path, typer.Option(help="what `ca release --out` wrote")],
    certificate: Annotated[Path, typer.Option(help="of role broker, then its issuing CA")],
    key: Annotated[Path, typer.Option(help="of the certificate")],
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8883,
    address: Annotated[list[str] | None, typer.Option(help="to listen on; may be repeated")] = None,
    worker: Annotated[
        list[str] | None, typer.Option(help="names in the certificates of role ingest; may be repeated")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="say what would change, and change nothing")] = False,
    json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """Write mosquitto.conf, and who may do what where that is not there yet; say what changes.

    What the broker knows of kits stays. May be done again, for example after an update of the fleet."""
    settings = BrokerSettings(
        folder=folder,
        authorities=release / "authorities.pem",
        revoked=release / "broker-lists.pem",
        certificate=certificate,
        key=key,
        port=port,
        addresses=tuple(address or ("127.0.0.1",)),
        workers=tuple(worker or (WORKER,)),
    )
    for named in (settings.authorities, settings.revoked, certificate, key):
        if not named.is_file():
            raise BrokerError(f"{named}: there is no such file")
    path = folder / "mosquitto.conf"
    before = path.read_text().splitlines() if path.exists() else []
    after = configuration(settings, user_here()).splitlines()
    changes = [line for line in difflib.ndiff(before, after) if line[:1] in "+-"]
    if not show:
        write(settings)
    if json:
        print(msgspec.json.encode({"file": str(path), "written": not show, "changes": changes}).decode())
        return
    for line in changes:
        print(line)
    if not changes:
        print(f"{path}: as it should be")
    elif show:
        print(f"{path}: would change as above")
    else:
        print(f"{path}: written; start mosquitto anew, then `thuisloket-fleet broker check`")
