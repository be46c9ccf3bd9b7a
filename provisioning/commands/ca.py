"""`thuisloket-provision ca`: the fleet's own certificate authority."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from provisioning import renewals
from provisioning.ca import Authority
from provisioning.commands.rotate import rotate
from provisioning.durable import write_whole
from provisioning.generations import BRANCHES
from provisioning.register import Reason
from provisioning.release import release

app = typer.Typer(help=__doc__, no_args_is_help=True)
app.add_typer(rotate, name="rotate")

Folder = Annotated[Path, typer.Option("--ca", help="the authority's folder", envvar="THUISLOKET_CA")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on standard output")]


def _say(as_json: bool, sentence: str, **facts: object) -> None:
    print(msgspec.json.encode(facts).decode() if as_json else sentence)


@app.command()
def init(
    ca: Folder,
    organisation: Annotated[
        str, typer.Option(help="whose fleet it is, in the names of the CAs")
    ] = "Thuisloket",
    json: Json = False,
) -> None:
    """Make a root and an issuing CA for kits, officers and servers each."""
    authority = Authority.create(ca, organisation)
    until = authority.certificate("root").not_valid_after_utc
    _say(
        json, f"authority in {ca}; move {ca / 'root' / 'key.pem'} to a safe now", folder=str(ca), until=until
    )


@app.command()
def issue(
    role: Annotated[
        str, typer.Argument(help="kit-tls, kit-sign, officer, server, broker, ingest or service")
    ],
    name: Annotated[str, typer.Argument(help="the name in the certificate (CN)")],
    ca: Folder,
    out: Annotated[Path, typer.Option(help="writes OUT.pem (leaf, then issuing CA) and OUT.key (0600)")],
    host: Annotated[list[str] | None, typer.Option(help="DNS name or IP address of a server role")] = None,
    days: Annotated[int | None, typer.Option(help="life in days; each role has its own default")] = None,
    json: Json = False,
) -> None:
    """Make a key and a certificate for it."""
    leaf = Authority(ca).issue(role, name, host or (), days)
    leaf.write(out.parent, out.name)
    serial, until = f"{leaf.certificate.serial_number:x}", leaf.certificate.not_valid_after_utc
    _say(
        json, f"{out}.pem: {role} {name}, serial {serial}, until {until:%Y-%m-%d}", serial=serial, until=until
    )


@app.command()
def revoke(
    serial: Annotated[str, typer.Argument(help="serial number, hexadecimal")],
    ca: Folder,
    reason: Annotated[
        str, typer.Option(help="key-compromise, superseded, cessation-of-operation")
    ] = "unspecified",
    json: Json = False,
) -> None:
    """Take a certificate back and sign a new revocation list; broker and servers must then load it."""
    entry = Authority(ca).revoke(serial, _reason(reason))
    _say(json, f"revoked {entry.role} {entry.name}", serial=entry.serial, role=entry.role, name=entry.name)


@app.command()
def crl(
    ca: Folder,
    out: Annotated[Path | None, typer.Option(help="also write all lists, one after the other, here")] = None,
    json: Json = False,
) -> None:
    """Sign fresh revocation lists; do it well before the old ones run out (30 days)."""
    authority = Authority(ca)
    authority.write_crls()
    if out is not None:
        write_whole(out, authority.crls())
    _say(json, f"signed the lists of {', '.join(BRANCHES)}", lists=list(BRANCHES))


@app.command("release")
def release_lists(
    ca: Folder,
    out: Annotated[Path, typer.Option(help="folder that the fleet server installs from: broker.release")],
    kit: Annotated[str, typer.Option(help="take back every certificate of this kit first")] = "",
    reason: Annotated[
        str, typer.Option(help="key-compromise, superseded, cessation-of-operation")
    ] = "unspecified",
    json: Json = False,
) -> None:
    """Sign fresh revocation lists and write all that the fleet needs to install them and to try them out."""
    taken_back = release(Authority(ca), out, kit, _reason(reason))
    _say(json, f"{out}: written; {taken_back} certificates taken back", folder=str(out), revoked=taken_back)


@app.command("list")
def list_issued(ca: Folder, json: Json = False) -> None:
    """Every certificate this authority has issued."""
    entries = list(Authority(ca).issued())
    lines = [
        f"{entry.serial:<40} {entry.role:<9} {entry.name:<28} {entry.until:%Y-%m-%d}"
        + ("  revoked" if gone else "")
        for entry, gone in entries
    ]
    _say(
        json,
        "\n".join(lines) if lines else "nothing was issued yet",
        issued=[{**msgspec.to_builtins(entry), "revoked": gone} for entry, gone in entries],
    )


@app.command()
def sign(
    ca: Folder,
    requests: Annotated[Path, typer.Argument(help="what `thuisloket-fleet certificates export` wrote")],
    out: Annotated[Path, typer.Option(help="answers, for `thuisloket-fleet certificates import`")],
    json: Json = False,
) -> None:
    """Answer kits that ask for new certificates. Each request is judged by its own signature."""
    answers = renewals.answer(Authority(ca), requests)
    write_whole(out, msgspec.json.encode(answers))
    issued = sum(not one.code for one in answers.answers)
    refused = {one.kid: one.code for one in answers.answers if one.code}
    words = f"{out}: {issued} issued, {len(refused)} refused"
    _say(json, words, issued=issued, refused=refused, answers=str(out))


def _reason(text: str) -> Reason:
    try:
        reason: Reason = msgspec.convert(text, Reason)
    except msgspec.ValidationError as problem:
        raise typer.BadParameter(f"{text!r} is not a reason", param_hint="--reason") from problem
    return reason
