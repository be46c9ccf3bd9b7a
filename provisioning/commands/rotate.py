"""`thuisloket-provision ca rotate`: a new authority takes over from the old one while everybody works."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from provisioning import rotation
from provisioning.ca import Authority
from provisioning.generations import AuthorityError

rotate = typer.Typer(help=__doc__, no_args_is_help=True)

Folder = Annotated[Path, typer.Option("--ca", help="the authority's folder", envvar="THUISLOKET_CA")]
Fleet = Annotated[
    Path | None, typer.Option(help="fleet.toml: also ask the fleet which certificates its kits use")
]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on standard output")]


class _Used(msgspec.Struct, frozen=True):
    serial: str


class _Standing(msgspec.Struct, frozen=True):
    certificates: tuple[_Used, ...]


@rotate.command()
def begin(ca: Folder, json: Json = False) -> None:
    """Make the issuing CAs of the next generation. Bring the key of its root from the safe first."""
    authority = Authority(ca)
    rotation.begin(authority)
    now = authority.generations
    after = authority.place(now.next + 1) / "root" / "key.pem"
    key = authority.place(now.next) / "root" / "key.pem"
    words = (
        f"generation {now.next} is ready; put {key} and {after} in a safe\n"
        "next: `ca release`, `thuisloket-fleet broker install`, then `ca rotate promote`"
    )
    _say(json, words, generation=now.next)


@rotate.command()
def promote(ca: Folder, json: Json = False) -> None:
    """Issue from the next generation from now on; both go on to be trusted."""
    authority = Authority(ca)
    rotation.promote(authority)
    present = authority.generations.present
    words = (
        f"generation {present} issues; kits follow as their certificates come of age\n"
        "renew the certificates of broker, fleet and services; `ca rotate show` says who is left"
    )
    _say(json, words, generation=present)


@rotate.command()
def show(ca: Folder, fleet: Fleet = None, json: Json = False) -> None:
    """How far it is, and who still depends on the old generation."""
    authority = Authority(ca)
    now = authority.generations
    waiting = [] if not now.former else rotation.dependents(authority, _in_use(fleet), datetime.now(UTC))
    state = "promoted" if now.former else "begun" if now.begun else "rest"
    lines = [f"generation {now.present}, {state}"]
    lines += [f"  needs the old one: {one.role:<10} {one.name:<32} {one.until:%Y-%m-%d}" for one in waiting]
    facts = [{"role": one.role, "name": one.name, "until": one.until} for one in waiting]
    _say(json, "\n".join(lines), generation=now.present, state=state, dependents=facts)


@rotate.command()
def finish(
    ca: Folder,
    fleet: Fleet = None,
    without: Annotated[
        list[str] | None, typer.Option(help="leave this one behind; it must be made anew by hand")
    ] = None,
    json: Json = False,
) -> None:
    """End the old generation, once nobody depends on it; then `ca release` and install it."""
    authority = Authority(ca)
    left = rotation.finish(authority, _in_use(fleet), without or ())
    names = [one.name for one in left]
    words = f"only generation {authority.generations.present} is left" + (
        f"; left behind: {', '.join(names)}" if names else ""
    )
    _say(json, words, generation=authority.generations.present, left_behind=names)


def _in_use(fleet: Path | None) -> list[str]:
    """The serials that kits last showed to the fleet."""
    if fleet is None:
        return []
    command = [sys.executable, "-m", "server", "certificates", "list", "--config", str(fleet), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise AuthorityError(f"the fleet does not tell: {ran.stderr.strip()[-500:]}")
    told = msgspec.json.decode(ran.stdout, type=_Standing)
    return [one.serial for one in told.certificates if one.serial]


def _say(as_json: bool, sentence: str, **facts: object) -> None:
    print(msgspec.json.encode(facts).decode() if as_json else sentence)
