"""`thuisloket-open`: verify a sealed application, open it, and write its parts; or nothing at all.

With `--shred` it makes the packet anew without one of its groups, as the end of that group's lawful life.

Exit status: 0 opened, 1 could not work, 2 usage, 3 packet refused (reason code on stderr), 130 cancelled.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from competent.failure import Failed
from competent.opening import explain as explained
from competent.opening import read_packet, summary, write_packet, write_parts
from competent.possession import NotProven, judge
from competent.supplement import Beside, NotASupplement
from competent.trust import read_keys, read_roots
from protocol.instant import read_instant
from protocol.sealed.manifest import GROUPS
from protocol.sealed.outer import read_outer
from protocol.sealed.packet import BadPacket, open_packet, without

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def _instant(text: str) -> datetime:
    try:
        return read_instant(text)
    except ValueError as problem:
        raise typer.BadParameter("an instant like 2026-11-23T09:30:00Z") from problem


@app.command()
def open_(
    packet: Annotated[Path, typer.Argument(metavar="PACKET", help="The sealed application.")],
    key: Annotated[
        Path | None,
        typer.Option(metavar="KEYFILE", help="Age identities, one a line, or a P-256 key in PEM."),
    ] = None,
    trust: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Root certificates of kits and officers, PEM or DER.")
    ] = None,
    cards: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Belgium Root CAs: check again that the holder gave the card's PIN."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where the parts go: an empty or a new folder. With --shred: a new file."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the manifest; open nothing, verify no signature.")
    ] = False,
    shred: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP", help="Write the packet without this group to --out; open nothing."),
    ] = None,
    shredded: Annotated[
        bool, typer.Option("--shredded", help="Groups may have been shredded: open what is left.")
    ] = False,
    original: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Of a supplement: the packet of the application it belongs to; check it."
        ),
    ] = None,
    asked: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --original: the receipt that asked for parts.")
    ] = None,
    earlier: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --original, where parts were asked twice: the supplement that --asked answers.",
        ),
    ] = None,
    receipt_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --original: the key of that receipt, PEM.")
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            parser=_instant, metavar="INSTANT", help="Judge as of then instead of now, e.g. from an archive."
        ),
    ] = None,
) -> None:
    """Verify who signed PACKET, open it, check it against its manifest, and write its parts."""
    try:
        data = read_packet(packet)
        if explain:
            typer.echo(json.dumps(explained(read_outer(data)), indent=None if as_json else 2))
            return
        if shred:
            if out is None or not set(shred) <= set(GROUPS):
                raise typer.BadParameter(f"--out names the file to write, --shred one of {', '.join(GROUPS)}")
            write_packet(without(data, shred), out)
            answer = {"verdict": "shredded", "groups": sorted(shred)}
            _tell(as_json, answer, f"{out} is without {', '.join(sorted(shred))}")
            return
        if key is None or trust is None or out is None:
            raise typer.BadParameter("--key, --trust and --out are needed to open a packet")
        if len({original is None, asked is None, receipt_key is None}) != 1:
            raise typer.BadParameter("--original, --asked and --receipt-key go together")
        if earlier is not None and original is None:
            raise typer.BadParameter("--earlier goes with --original")
        roots, keys = read_roots(trust), read_keys(key)
        opened = open_packet(data, keys, roots, roots, at or datetime.now(UTC), missing_ok=shredded)
        if original is not None and asked is not None and receipt_key is not None:
            Beside(original, asked, receipt_key, earlier, keys, roots).judge(opened)
        proof = {} if cards is None else {"possession": judge(opened, read_roots(cards))}
        write_parts(opened, out)
        told = "".join(f", possession {answer}" for answer in proof.values())
        answer = {**summary(opened), **proof}
        if answer["test"]:
            typer.echo("TEST: made in a trial, for no citizen; do not make a document of it", err=True)
        if answer["supplements"] and original is None:
            typer.echo("SUPPLEMENT: a part of another application; --original checks that it is", err=True)
        _tell(as_json, answer, f"{len(opened.parts)} parts in {out}{told}")
    except BadPacket as refusal:
        answer = {"verdict": "refused", "code": str(refusal.code), "detail": refusal.detail}
        _complain(as_json, answer, f"refused: {refusal}", 3)
    except NotASupplement as refusal:
        answer = {"verdict": "refused", "code": refusal.code, "detail": ""}
        _complain(as_json, answer, f"refused: {refusal.code}", 3)
    except NotProven as refusal:
        answer = {"verdict": "refused", "code": f"possession-{refusal.code}", "detail": ""}
        _complain(as_json, answer, f"refused: possession-{refusal.code}", 3)
    except Failed as problem:
        answer = {"verdict": "failed", "code": problem.code, "remedy": problem.remedy}
        _complain(as_json, answer, f"failed: {problem}", 1)


def main() -> None:
    try:
        app(prog_name="thuisloket-open")
    except KeyboardInterrupt:
        sys.exit(130)


def _tell(as_json: bool, answer: dict[str, Any], line: str) -> None:
    typer.echo(json.dumps(answer) if as_json else line)


def _complain(as_json: bool, answer: dict[str, Any], line: str, status: int) -> None:
    if as_json:
        typer.echo(json.dumps(answer))
    typer.echo(line, err=True)
    raise typer.Exit(status)


if __name__ == "__main__":
    main()
