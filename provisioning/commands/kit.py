"""`thuisloket-provision kit`: kits from their first certificate to their last day."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from provisioning import kit, recovery
from provisioning.ca import Authority
from provisioning.release import release

app = typer.Typer(help=__doc__, no_args_is_help=True)

Ca = Annotated[Path, typer.Option("--ca", help="the authority's folder", envvar="THUISLOKET_CA")]
Kits = Annotated[Path, typer.Option(help="the folder of all kit folders")]
Fleet = Annotated[Path | None, typer.Option(help="fleet.toml of the server that is to know")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on standard output")]


class _Officer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    officer_id: str
    name: str


class _Roster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    officer: tuple[_Officer, ...]


@app.command()
def add(
    kit_id: Annotated[str, typer.Argument(help="kit-...")],
    ca: Ca,
    kits: Kits,
    site: Annotated[Path, typer.Option(help="site.toml: what is the same for every kit")],
    officers: Annotated[Path, typer.Option(help="TOML with [[officer]] tables: officer_id, name")],
    tenant: Annotated[list[str] | None, typer.Option(help="KBO number of a municipality it serves")] = None,
    fleet: Fleet = None,
    json: Json = False,
) -> None:
    """Make a kit's folder, with a new PIN for each officer, and register it with the fleet."""
    try:
        roster = msgspec.toml.decode(officers.read_bytes(), type=_Roster).officer
    except (OSError, msgspec.DecodeError) as problem:
        raise kit.KitFolderError(f"{officers}: {problem}") from problem
    people = [kit.NewOfficer(one.officer_id, one.name, kit.new_pin()) for one in roster]
    added = kit.add(kits, kit_id, Authority(ca), kit.read_site(site), site.parent, people)
    if fleet is not None:
        officers_known = [person.officer_id for person in people]
        kit.register(fleet, kit_id, added.bag_recipient, tenant or (), officers_known)
    if json:
        facts = {
            "kit_id": kit_id,
            "folder": str(added.folder),
            "bag_recipient": added.bag_recipient,
            "pins": {person.officer_id: person.pin for person in people},
        }
        print(msgspec.json.encode(facts).decode())
        return
    print(f"{added.folder}: made")
    print("PINs, shown once; hand them over on paper:")
    for person in people:
        print(f"  {person.name} ({person.officer_id}): {person.pin}")


Config = Annotated[Path, typer.Option("--fleet", help="fleet.toml of the server that is to know")]


@app.command()
def missing(kit_id: str, fleet: Config) -> None:
    """A kit is missing: no lease and no day bag any more, so it closes by itself."""
    kit.report_missing(fleet, kit_id)
    print(f"{kit_id}: missing; the dashboard says when it closes. `kit lost` refuses it everywhere at once.")


@app.command()
def found(kit_id: str, fleet: Config) -> None:
    """A missing kit is back: it opens again when it is next online."""
    kit.report_found(fleet, kit_id)
    print(f"{kit_id}: found")


@app.command()
def unlock_code(
    kit_id: Annotated[str, typer.Argument(help="the kit, as on its label")],
    officer_id: Annotated[str, typer.Argument(help="the officer, as in an.peeters")],
    challenge: Annotated[str, typer.Argument(help="what the kit's screen shows: 14 groups of four")],
    ca: Ca,
    hours: Annotated[int, typer.Option(help="how long the code is good", min=1, max=168)] = 4,
    json: Json = False,
) -> None:
    """Make a one-use code for an officer who forgot the PIN. Be sure who is on the telephone."""
    given = recovery.give_code(ca, kit_id, officer_id, challenge, timedelta(hours=hours))
    if json:
        print(msgspec.json.encode({"code": given.code, "not_after": given.not_after}).decode())
        return
    print(f"{given.code}\ngood once, until {given.not_after:%Y-%m-%d %H:%M} UTC")


@app.command("list")
def list_kits(ca: Ca, kits: Kits, json: Json = False) -> None:
    """The kits, and until when their certificates live."""
    lines = kit.listed(kits, Authority(ca))
    if json:
        print(msgspec.json.encode({"kits": [msgspec.to_builtins(line) for line in lines]}).decode())
        return
    for line in lines:
        print(f"{line.kit_id:<32} {line.until}{'  revoked' if line.revoked else ''}")


@app.command()
def renew(kit_id: str, ca: Ca, kits: Kits) -> None:
    """Fresh certificates for a kit that stands still; copy its certs/ folder onto it afterwards."""
    kit.renew(kits, kit_id, Authority(ca))
    print(f"{kit_id}: renewed")


@app.command()
def retire(kit_id: str, ca: Ca, kits: Kits, fleet: Fleet = None, json: Json = False) -> None:
    """A kit at the end of its life: certificates revoked, refused by broker and fleet. Its folder stays."""
    kit.retire(kits, kit_id, Authority(ca))
    _refuse(kit_id, "retire", ca, fleet, json)


@app.command()
def lost(kit_id: str, ca: Ca, fleet: Fleet = None, json: Json = False) -> None:
    """A kit is lost or stolen: refused everywhere at once. Needs no folder of it. Tells each effect's
    time.
    """
    _refuse(kit_id, "lost", ca, fleet, json)


def _refuse(kit_id: str, what: Literal["lost", "retire"], ca: Path, fleet: Path | None, json: bool) -> None:
    lists = ca / "release"
    revoked = release(
        Authority(ca), lists, kit_id, "key-compromise" if what == "lost" else "cessation-of-operation"
    )
    if fleet is not None:
        print(kit.refuse(fleet, kit_id, what, lists, json), end="")
    elif json:
        print(msgspec.json.encode({"kit_id": kit_id, "revoked": revoked, "release": str(lists)}).decode())
    else:
        print(f"{kit_id}: certificates revoked; now `thuisloket-fleet kit {what} {kit_id} --release {lists}`")
