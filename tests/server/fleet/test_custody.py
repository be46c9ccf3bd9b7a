"""Every hand-over is a step that can be checked by anyone with the roots; whatever is changed is found."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from protocol import canonical, signed
from protocol.custody import KIND, Chain, Signed, read_chain, read_signed, sealing, write_chain
from protocol.custodycheck import Trust, judge
from protocol.deletion import Deletion, sign_deletion
from protocol.instant import write_instant
from protocol.messages import DeletionEvent
from protocol.sealed.outer import read_outer
from protocol.sealed.receipt import verify_receipt
from server import trust
from server.db.scope import EVERYONE
from server.db.tables import Application, CustodyStep
from server.fleet import applications, custody, ingest, outbox, retention
from server.fleet.applications import Packet
from server.fleet.refused import Refused
from tests.server.conftest import ENGINES
from tests.server.fleet.test_ingest import message
from tests.server.town import BRUGGE, KIT, SERVICE, Town

NOW = datetime.now(UTC)
STEPS = ("sealed", "committed", "erased", "forwarded", "answered", "deleted", "purged")


@pytest.fixture
def engine() -> str:
    """The chain knows no database; the fleet's side of it is in the tests of ingest and work on both."""
    return "sqlite"


def destroyed(town: Town, visit_id: str, packet_id: str = "") -> None:
    what = {"what": "packet", "why": "answered"} if packet_id else {"what": "captures", "why": "sealed"}
    members: dict[str, Any] = {"kit_id": KIT, "visit_id": visit_id, "packet_id": packet_id, **what}
    signer = town.signer("kit-sign", KIT)
    token = sign_deletion(Deletion(**members, at=write_instant(NOW)), signer.key, signer.chain)
    ingest.take(town.database, *message(DeletionEvent(token)), NOW, town.dock.roots)


def whole(town: Town, hour: int = 9, seq: int = 1, request_id: str = "") -> Chain:
    """The chain of an application that went all the way, of a new request unless one is given."""
    visit = town.plan(request_id, hour)
    packet = town.packet(visit, seq)
    core, outer = packet.manifest, read_outer(packet.data)
    destroyed(town, visit.visit_id)
    arrived = Packet(
        packet_id=core.packet_id,
        visit_id=visit.visit_id,
        tenant=BRUGGE,
        service_id=SERVICE,
        kit_id=KIT,
        kit_cert_serial=core.kit_cert_serial,
        seq=seq,
        manifest_sha256=packet.manifest_sha256,
        size=len(packet.data),
        blob_sha256=town.dock.blobs.put(packet.data),
        sealing=sealing(outer.manifest_bytes, outer.signatures.kit),
    )
    token = town.receipt(packet)
    receipt = verify_receipt(token, town.recipients.public_receipt_keys())
    for _ in range(2):
        with town.database.writing(EVERYONE) as db:
            applications.arrived(db, arrived, NOW)
    with town.database.writing(EVERYONE) as db:
        row = db.get_one(Application, core.packet_id)
        applications.offered(db, row, NOW)
        applications.answered(db, row, receipt, token, NOW)
    destroyed(town, visit.visit_id, core.packet_id)
    retention.purge(town.database, town.dock.blobs, NOW)
    sign(town)
    with town.database.reading(EVERYONE) as db:
        return custody.chain(db, core.packet_id)


def sign(town: Town) -> None:
    with town.database.writing(EVERYONE) as db:
        claims = outbox.claim(db, ["custody"], 50, datetime.now(UTC))
    for claim in claims:
        assert town.custodian.sign(town.database, claim, datetime.now(UTC)).startswith("signed")


def trusted(town: Town) -> Trust:
    return Trust(town.dock.roots, {SERVICE: trust.list_key(town.ground.service / "list-key.pem")})


def problems(town: Town, chain: Chain) -> list[str]:
    return [line.problem for line in judge(chain, trusted(town)).lines if line.problem]


def resigned(town: Town, token: str, **changes: Any) -> str:
    """The step with other words, signed again by the custodian: what a dishonest fleet could do."""
    payload, _ = signed.verify_chain(token, KIND, town.dock.roots, signed.Role.CUSTODIAN, NOW)
    held = read_signed(payload)
    other = Signed(signed=held.signed, step=msgspec.structs.replace(held.step, **changes))
    key, certificates = town.custodian.key, town.custodian.chain
    data = canonical.dumps(msgspec.to_builtins(other))
    return signed.sign(KIND, data, key, signed.key_id(key.public_key()), certificates)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_whole_way_is_told_once_in_order_and_by_whom(town: Town) -> None:
    chain = whole(town)
    judged = judge(chain, trusted(town))
    assert judged.sound
    assert judged.names == ("sealed", "committed", "erased", "forwarded", "answered", "deleted", "purged")
    assert [line.by for line in judged.lines] == [
        KIT, "fleet", KIT, "fleet", f"{SERVICE} accepted", KIT, "fleet",
    ]  # fmt: skip
    with town.database.reading(EVERYONE) as db:
        assert set(custody.due(db, chain.packet_id)) == {"sealed", "committed", "answered", "deleted"}
    assert read_chain(write_chain(chain)) == chain
    assert "Peeters" not in json.dumps(msgspec.to_builtins(judged.lines))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, ground: Any) -> Any:
    made = Town(tmp_path_factory.mktemp("pair") / "town", ground)
    yield made, whole(made), whole(made, hour=11, seq=2)
    made.close()


@pytest.mark.parametrize("n", range(len(STEPS)))
def test_a_step_changed_missing_moved_or_anothers_is_found(pair: Any, n: int) -> None:
    town, chain, other = pair
    steps = chain.steps
    swapped = list(steps)
    swapped[n - 1], swapped[n] = swapped[n], swapped[n - 1]
    signature = steps[n][:-8] + ("AAAAAAAA" if not steps[n].endswith("AAAAAAAA") else "BBBBBBBB")
    head, body, tail = steps[n].split(".")
    forgeries: dict[str, tuple[str, ...]] = {
        "signature": (*steps[:n], signature, *steps[n + 1 :]),
        "words": (*steps[:n], f"{head}.{body[:-6]}AAAAAA.{tail}", *steps[n + 1 :]),
        "moved": tuple(swapped),
        "of another application": (*steps[:n], other.steps[n], *steps[n + 1 :]),
        "twice": (*steps[: n + 1], steps[n], *steps[n + 1 :]),
        "a kit's": (*steps[:n], _kit_signs(town, steps[n]), *steps[n + 1 :]),
    }
    if n < len(steps) - 1:
        forgeries["missing"] = (*steps[:n], *steps[n + 1 :])
        # A fleet that rewrites its own words breaks the link of the step behind.
        at = resigned(town, steps[n], at="2026-01-01T00:00:00Z")
        forgeries["signed again"] = (*steps[:n], at, *steps[n + 1 :])
    for name, forged in forgeries.items():
        assert problems(town, msgspec.structs.replace(chain, steps=forged)), name


def _kit_signs(town: Town, token: str) -> str:
    payload, _ = signed.verify_chain(token, KIND, town.dock.roots, signed.Role.CUSTODIAN, NOW)
    kit = town.signer("kit-sign", KIT)
    return signed.sign(KIND, payload, kit.key, signed.key_id(kit.key.public_key()), kit.chain)


def test_every_document_is_needed_and_none_can_be_anothers(pair: Any) -> None:
    town, chain, other = pair
    for place in range(len(chain.documents)):
        without = chain.documents[:place] + chain.documents[place + 1 :]
        assert problems(town, msgspec.structs.replace(chain, documents=without))
    mixed = msgspec.structs.replace(chain, documents=(*chain.documents, *other.documents))
    assert problems(town, mixed) == []  # what nobody names is nobody's
    for n, name in ((0, "sealed"), (4, "answered"), (5, "deleted")):
        payload, _ = signed.verify_chain(other.steps[n], KIND, town.dock.roots, signed.Role.CUSTODIAN, NOW)
        evidence = read_signed(payload).step.evidence
        lie = (*chain.steps[:n], resigned(town, chain.steps[n], evidence=evidence), *chain.steps[n + 1 :])
        found = judge(msgspec.structs.replace(mixed, steps=lie), trusted(town)).lines[n]
        assert (found.step, found.problem) == (name, "evidence-of-another")


def test_a_strangers_roots_and_list_key_make_nothing_sound(pair: Any) -> None:
    town, chain, _ = pair
    assert set(problems_with(chain, Trust([], trusted(town).list_keys))) == {"custody-untrusted"}
    assert problems_with(chain, Trust(town.dock.roots, {})) == ["evidence-refused"]


def problems_with(chain: Chain, trusted_: Trust) -> list[str]:
    return [line.problem for line in judge(chain, trusted_).lines if line.problem]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"v":1}', b"\xff", b"x" * 2_000_000])
def test_what_is_no_chain_is_refused(data: bytes) -> None:
    from protocol.custody import BadCustody

    with pytest.raises(BadCustody, match="malformed"):
        read_chain(data)


def test_the_command_prints_verifies_and_writes_and_an_auditor_needs_only_the_folder(
    town: Town, tmp_path: Path
) -> None:
    chain = whole(town)
    out = tmp_path / "chain.json"
    told = run("custody", chain.packet_id, "--config", town.toml, "--out", out, "--json")
    assert (told.returncode, json.loads(told.stdout)["sound"]) == (0, True)
    folder = tmp_path / "auditor"
    (folder / "services").mkdir(parents=True)
    (folder / "root.pem").write_bytes(town.ground.pki.roots.read_bytes())
    key = (town.ground.service / "list-key.pem").read_bytes()
    (folder / "services" / f"{SERVICE}.pem").write_bytes(key)
    offline = run("custody", "--file", out, "--trust", folder)
    assert offline.returncode == 0
    assert [line.split()[2] for line in offline.stdout.splitlines()[1:]] == list(STEPS)
    out.write_bytes(write_chain(msgspec.structs.replace(chain, steps=chain.steps[:1] + chain.steps[2:])))
    broken = run("custody", "--file", out, "--trust", folder)
    assert (broken.returncode, "out-of-order" in broken.stdout) == (3, True)
    assert run("custody", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "--config", town.toml).returncode == 3
    with town.database.writing(EVERYONE) as db:
        db.delete(db.scalars(select(CustodyStep).where(CustodyStep.step == "purged")).one())
        db.delete(db.scalars(select(CustodyStep).where(CustodyStep.step == "deleted")).one())
    short = run("custody", chain.packet_id, "--config", town.toml)
    assert (short.returncode, "missing deleted" in short.stderr) == (3, True)


def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "server", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_not_signed_yet_is_not_given_out(town: Town) -> None:
    visit = town.plan()
    packet = town.packet(visit)
    outer = read_outer(packet.data)
    core = packet.manifest
    with town.database.writing(EVERYONE) as db:
        applications.arrived(
            db,
            Packet(
                core.packet_id, core.visit_id, core.tenant, core.service_id, core.kit_id,
                core.kit_cert_serial, 1, packet.manifest_sha256, 1, "a" * 64,
                sealing(outer.manifest_bytes, outer.signatures.kit),
            ),
            NOW,
        )  # fmt: skip
    with town.database.reading(EVERYONE) as db, pytest.raises(Refused, match="not-signed-yet"):
        custody.chain(db, core.packet_id)
