"""The holder's proof checked again by the service: with its own roots, for the person of the application."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner

from competent.__main__ import app
from protocol.ids import new_ulid
from protocol.instant import write_instant
from protocol.possession import PART, encode, purpose
from protocol.sealed.packet import Part
from tests.competent.place import NOW, Desk
from tests.protocol.sealed.application import PARTS
from tests.protocol.test_possession import AUTHORITY, NUMBER, ROOT, make, name, p384, proof

VISIT = new_ulid()
PURPOSE = purpose(VISIT, "be.eid.application", "0207530775")
EARLIER = NOW - timedelta(minutes=5)
GOOD = encode(proof(said=PURPOSE, at=EARLIER))
OLD = make(name("Holder", NUMBER), AUTHORITY, p384(), ca=False, until=EARLIER - timedelta(days=1))


def opened(desk: Desk, evidence: bytes | None, number: str = NUMBER) -> tuple[int, dict[str, Any], Path]:
    """Exit status, answer and folder of opening an application with this evidence in it."""
    identity = json.dumps({"identity": {"national_number": number}} if number else {}).encode()
    parts = [Part("identity.json", "application/json", identity), *PARTS[1:]]
    if evidence is not None:
        parts.append(Part(PART, "application/json", evidence))
    sealed = desk.world.packet(tuple(parts), created_utc=write_instant(NOW), visit_id=VISIT)
    cards, out = desk.folder / "cards", desk.folder / "out"
    cards.mkdir()
    (cards / "root.der").write_bytes(ROOT.certificate.public_bytes(Encoding.DER))
    key = desk.keys / "current.age"
    where = {"--key": key, "--trust": desk.trust, "--cards": cards, "--out": out}
    line = [str(desk.file(sealed)), "--json", *(str(each) for pair in where.items() for each in pair)]
    done = CliRunner().invoke(app, line)
    return done.exit_code, json.loads(done.stdout.splitlines()[0]), out


@pytest.mark.parametrize(
    ("evidence", "answer"),
    [(GOOD, "proven"), (encode(proof(OLD, said=PURPOSE, at=EARLIER)), "proven-expired"), (None, "absent")],
    ids=["proven", "expired", "absent"],
)
def test_a_proof_that_holds_is_told_and_kept(desk: Desk, evidence: bytes | None, answer: str) -> None:
    status, told, out = opened(desk, evidence)
    assert (status, told["possession"]) == (0, answer)
    assert (out / PART).exists() is (evidence is not None)


@pytest.mark.parametrize(
    ("evidence", "number", "code"),
    [
        (encode(proof(at=EARLIER)), NUMBER, "possession-another-visit"),
        (b"{}", NUMBER, "possession-malformed"),
        (GOOD, "45073012385", "possession-another-holder"),
        (GOOD, "", "possession-another-holder"),
    ],
    ids=["another visit", "no proof", "another person", "nobody"],
)
def test_an_application_whose_proof_is_wrong_is_refused_whole(
    desk: Desk, evidence: bytes, number: str, code: str
) -> None:
    status, told, out = opened(desk, evidence, number)
    assert (status, told["verdict"], told["code"]) == (3, "refused", code)
    assert not out.exists()
