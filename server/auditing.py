"""`thuisloket-fleet custody`: the chain of custody of one application, printed and verified; by an auditor
too, offline, with a file and a folder of root certificates.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli import REFUSED, Json, failures, opened, say_object

if TYPE_CHECKING:  # importing them takes longer than most commands
    from protocol.custody import Chain, Name
    from protocol.custodycheck import Trust

LONGEST = 1024 * 1024


def custody(
    application: Annotated[str, typer.Argument(metavar="[APPLICATION]", help="Its packet id.")] = "",
    config: Annotated[Path | None, typer.Option(help="fleet.toml", exists=True, dir_okay=False)] = None,
    file: Annotated[
        Path | None, typer.Option(help="Verify a chain that was written with --out.", exists=True)
    ] = None,
    trust_folder: Annotated[
        Path | None,
        typer.Option(
            "--trust",
            metavar="DIR",
            help="With --file: root certificates, and in services/<service id>.pem each service's list key.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the chain to a new file, for an auditor.")] = None,
    as_json: Json = False,
) -> None:
    """Print and verify who had an application when, and who signed for it."""
    if (file is None) == (config is None) or (file is None) != (trust_folder is None):
        raise typer.BadParameter("an APPLICATION with --config, or --file with --trust")
    if file is None and not application:
        raise typer.BadParameter("which application? its packet id is on the page of applications")
    with failures():
        if file is not None and trust_folder is not None:
            missing = _judge_file(file, trust_folder, application, as_json)
        else:
            assert config is not None  # said above
            missing = _judge_own(config, application, out, as_json)
    if missing:
        sys.stderr.write(f"custody-broken: {missing}\n")
        raise typer.Exit(REFUSED)


def _judge_file(file: Path, folder: Path, application: str, as_json: bool) -> str:
    from protocol.custody import BadCustody, read_chain
    from protocol.custodycheck import Trust
    from server import trust
    from server.fleet.refused import Refused

    lists = {path.stem: trust.list_key(path) for path in sorted((folder / "services").glob("*.pem"))}
    try:
        with file.open("rb") as content:
            chain = read_chain(content.read(LONGEST + 1))
    except BadCustody as problem:
        raise Refused(problem.code) from problem
    if application and chain.packet_id != application:
        raise Refused("another-application")
    return _print(chain, Trust(trust.roots(folder), lists), (), as_json)


def _judge_own(config: Path, application: str, out: Path | None, as_json: bool) -> str:
    from protocol.custody import write_chain
    from server import trust
    from server.db.scope import EVERYONE
    from server.fleet import custody as chains

    with opened(config) as (fleet, database), database.reading(EVERYONE) as db:
        chain, due = chains.chain(db, application), chains.due(db, application)
        trusted = trust.of_chains(fleet)
    if out is not None:
        with out.open("xb") as content:
            content.write(write_chain(chain))
    return _print(chain, trusted, due, as_json)


def _print(chain: "Chain", trusted: "Trust", due: "tuple[Name, ...]", as_json: bool) -> str:
    """Show every step; what is wrong, in codes, empty when nothing is."""
    from server.fleet.custody import audit

    done = audit(chain, trusted, due)
    judged, missing = done.judged, list(done.missing)
    wrong = [f"{line.n} {line.problem}" for line in judged.lines if line.problem]
    problems = [*wrong, *(f"missing {name}" for name in missing)]
    steps = [
        {"n": line.n, "step": line.step or "", "at": line.at, "by": line.by, "problem": line.problem}
        for line in judged.lines
    ]
    answer = {"packet_id": chain.packet_id, "sound": not problems, "steps": steps, "missing": missing}
    words = [f"{chain.packet_id}  {'sound' if not problems else 'BROKEN'}"]
    if judged.supplements:
        answer["supplements"] = judged.supplements
        words.append(f"     supplements {judged.supplements}")
    words += [
        f"{line.n:>3}  {line.at:<26}{line.step or '':<11}{line.by}  {line.problem}".rstrip()
        for line in judged.lines
    ]
    words += [f"  -  {'':<26}{name:<11}missing" for name in missing]
    say_object(answer, words, as_json)
    return ", ".join(problems)
