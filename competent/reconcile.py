"""`python -m competent.reconcile --config service.toml`: holds the ledger against the fleet's statement.

What never arrived is fetched, what was answered and not heard is answered again; what nobody can put right by
itself is named, for a person. Run it by the hour: a second time it changes nothing.
"""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from competent.failure import Failed
from competent.fleetside import Fleet
from competent.intake import AnotherKey, Intake, open_intake
from competent.ledger import Ledger
from competent.reconciling import FOR_A_PERSON, Finding, compare
from competent.reference import LEDGER
from competent.settings import read_settings
from protocol.sealed.packet import BadPacket

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def reconcile(
    config: Annotated[Path, typer.Option(metavar="FILE", help="service.toml, with a table [fleet]")],
) -> None:
    """Compare with the fleet and put right what can be: JSON on stdout, exit 0 when nothing needs a person, 3
    when something does, 1 when the fleet could not be asked."""
    try:
        settings = read_settings(config)
        if settings.fleet is None:
            raise Failed("bad-config", f"{config.name}: there is no table [fleet]")
        ledger = Ledger(Path(settings.data) / LEDGER)
        intake = open_intake(Path(settings.trust), Path(settings.keys), ledger, None)
        fleet = Fleet(settings.fleet)
        try:
            stated = list(fleet.statement())
            held = {each.packet_id: each for each in ledger.everything()}
            findings = compare(stated, held, time.time())
            failures = [failure for each in findings if (failure := _put_right(each, fleet, intake))]
        finally:
            fleet.close()
    except Failed as problem:
        typer.echo(f"failed: {problem}", err=True)
        raise typer.Exit(1) from problem
    persons = [
        {"packet_id": each.packet_id, "finding": each.kind} for each in findings if each.kind in FOR_A_PERSON
    ]
    counts = dict(sorted(Counter(each.kind for each in findings).items()))
    typer.echo(json.dumps({"counts": counts, "for_a_person": persons, "not_put_right": failures}))
    if persons or failures:
        raise typer.Exit(3)


def _put_right(finding: Finding, fleet: Fleet, intake: Intake) -> dict[str, str] | None:
    """Do what the service can do by itself; what went wrong, or None."""
    packet_id = finding.packet_id
    try:
        if finding.kind == "not-arrived":
            application, _ = intake.take(packet_id, fleet.packet(packet_id))
            fleet.answer(packet_id, application.receipt)
        elif finding.kind == "answer-unheard":
            held = intake.ledger.find(packet_id)
            assert held is not None  # the ledger forgets nothing
            fleet.answer(packet_id, held.receipt)
    except Failed as problem:
        return {"packet_id": packet_id, "finding": finding.kind, "code": problem.code}
    except BadPacket as problem:
        return {"packet_id": packet_id, "finding": finding.kind, "code": str(problem.code)}
    except AnotherKey:
        return {"packet_id": packet_id, "finding": finding.kind, "code": "idempotency-key"}
    return None


if __name__ == "__main__":
    app(prog_name="python -m competent.reconcile")
