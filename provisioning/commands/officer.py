"""`thuisloket-provision officer`: codes that let an officer in at a kit that is out in the field."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from provisioning import enrolment, security_key
from provisioning.ca import Authority
from provisioning.generations import AuthorityError

app = typer.Typer(help=__doc__, no_args_is_help=True)


@app.callback()
def group() -> None:
    """Officers."""


@app.command()
def enrol(
    officer_id: Annotated[str, typer.Argument(metavar="OFFICER", help="on the kit's list, as in an.peeters")],
    kit_id: Annotated[str, typer.Argument(metavar="KIT", help="the kit")],
    ca: Annotated[Path, typer.Option("--ca", help="the authority's folder", envvar="THUISLOKET_CA")],
    fleet: Annotated[Path, typer.Option(help="fleet.toml of the server that brings it to the kit")],
    hours: Annotated[int, typer.Option(help="how long the code is good", min=1, max=168)] = 72,
    json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """Make a one-use code with which a listed officer is let in at the kit, in front of a colleague."""
    if enrolment.listed(fleet, kit_id).get(officer_id, "") in ("", "on-kit"):
        raise AuthorityError(f"{officer_id} is not on the list of {kit_id}, or can open it already")
    made = enrolment.make(Authority(ca), kit_id, officer_id, timedelta(hours=hours))
    enrolment.deliver(fleet, kit_id, officer_id, made)
    if json:
        print(msgspec.json.encode({"code": made.code, "not_after": made.not_after}).decode())
        return
    print(made.code)
    print(f"good once, at {kit_id}, until {made.not_after:%Y-%m-%d %H:%M} UTC; for {officer_id} alone")


@app.command()
def key(
    request: Annotated[
        Path, typer.Argument(help="what `thuisloket-kit officer key-request` printed", dir_okay=False)
    ],
    ca: Annotated[Path, typer.Option("--ca", help="the authority's folder", envvar="THUISLOKET_CA")],
    makers: Annotated[Path, typer.Option(help="folder of makers' attestation certificates, PEM or DER")],
    out: Annotated[Path, typer.Option(help="writes OUT.pem (leaf, then issuing CA)")],
    json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """Certify an officer's security key, once a maker that is trusted has attested it."""
    credential, officer_id = security_key.certify(Authority(ca), request, makers, out)
    if json:
        print(msgspec.json.encode({"officer_id": officer_id, "credential": credential}).decode())
        return
    print(f"{out}.pem: officer-key {officer_id}; install it with `thuisloket-kit officer key`")
    print(f"credential: {credential}")
