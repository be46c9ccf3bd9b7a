"""The service holds its books against the fleet's, over mutual TLS: what was lost between them."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from competent.intake import Intake, open_intake
from competent.ledger import Ledger
from protocol.lifecycle import ApplicationState
from protocol.sealed.packet import Sealed
from protocol.sealed.receipt import Receipt
from server.db.scope import EVERYONE
from server.db.tables import Application
from server.fleet import applications, uploads
from server.work import utc_now
from tests.mosquitto import until
from tests.server.conftest import ENGINES
from tests.server.fleet.service_stand import Reply, stand
from tests.server.programs import PATIENCE_S, listens, running
from tests.server.town import KIT, SERVICE, Town

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
ASKS = "vraag.service.test"
TOKEN = "a-control-token-for-tests"


class Books:
    """A fleet with the line's reconciler, and the service beside it; neither has spoken to the other yet."""

    def __init__(self, town: Town, folder: Path) -> None:
        self.town, self.folder, self._seq = town, folder, 0
        town.ground.pki.issue("collector", ASKS)
        text = town.toml.read_text()
        line = f'[services."{SERVICE}"]\n'
        town.toml.write_text(text.replace(line, f'{line}reconciler = "{ASKS}"\n'))
        pki = town.ground.pki.folder
        self.config = folder / "service.toml"
        port = town.ports["service"]
        self.config.write_text(
            f'port = {port}\ncertificate = "x"\nkey = "x"\ntrust = "{town.folder}/trust"\n'
            f'keys = "{town.ground.service}"\ndata = "{folder}"\ncontrol_token = "{TOKEN}"\n'
            f'[fleet]\nurl = "https://127.0.0.1:{town.ports["kits"]}"\nca = "{pki}/roots.pem"\n'
            f'certificate = "{pki}/collector-{ASKS}.pem"\nkey = "{pki}/collector-{ASKS}.key"\n'
        )
        self.intake: Intake = open_intake(
            town.folder / "trust", town.ground.service, Ledger(folder / "ledger.db"), None
        )

    def sealed(self) -> Sealed:
        self._seq += 1
        return self.town.packet(self.town.plan(hour=8 + self._seq), self._seq)

    def handed_over(self) -> Sealed:
        """Arrived at the fleet, which offered it: the service knows nothing of it yet."""
        sealed, now, dock = self.sealed(), utc_now(), self.town.dock
        packet_id, data = sealed.manifest.packet_id, sealed.data
        digest = sha256(data).hexdigest()
        begun = uploads.begin(self.town.database, dock, KIT, packet_id, len(data), digest, now)
        uploads.write(self.town.database, dock, KIT, packet_id, 0, begun.generation, data, now)
        self._change(sealed, lambda db, row: applications.offered(db, row, now))
        return sealed

    def answered(self, sealed: Sealed, token: str) -> None:
        """The fleet has this answer, whoever gave it."""
        manifest, at = sealed.manifest, "2026-01-02T03:04:05Z"
        receipt = Receipt(
            packet_id=manifest.packet_id,
            manifest_sha256=sealed.manifest_sha256,
            kit_id=KIT,
            verdict="accepted",
            code="",
            at=at,
        )
        self._change(sealed, lambda db, row: applications.answered(db, row, receipt, token, utc_now()))

    def state(self, sealed: Sealed) -> str:
        with self.town.database.reading(EVERYONE) as db:
            return str(db.get_one(Application, sealed.manifest.packet_id).state)

    def reconcile(self) -> tuple[int, dict[str, Any], str]:
        done = subprocess.run(
            [sys.executable, "-m", "competent.reconcile", "--config", str(self.config)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, json.loads(done.stdout or "{}"), done.stderr

    def _change(self, sealed: Sealed, change: Callable[[Any, Application], None]) -> None:
        with self.town.database.writing(EVERYONE) as db:
            change(db, db.get_one(Application, sealed.manifest.packet_id))


@pytest.fixture
def books(town: Town, tmp_path: Path) -> Iterator[Books]:
    yield Books(town, tmp_path)
    town.write_toml()


@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_lost_between_two_sets_of_books_is_found_and_put_right_once(
    town: Town, books: Books
) -> None:
    lost, unheard, agreed, forged = (books.handed_over() for _ in range(4))
    stranger = books.sealed()
    for sealed in (unheard, agreed, stranger):
        books.intake.take(sealed.manifest.packet_id, sealed.data)
    held = books.intake.ledger.find(agreed.manifest.packet_id)
    assert held is not None
    books.answered(agreed, held.receipt)
    books.answered(forged, town.receipt(forged))
    persons = sorted(
        [
            {"packet_id": forged.manifest.packet_id, "finding": "answer-lost"},
            {"packet_id": stranger.manifest.packet_id, "finding": "unknown-there"},
        ],
        key=lambda each: each["packet_id"],
    )
    with running(town, "serve", "--only", "kits") as door:
        until(lambda: listens(town.ports["kits"], door), PATIENCE_S, "the listener")
        code, said, problem = books.reconcile()
        assert (code, problem) == (3, "")
        counts = {"agreed": 1, "answer-lost": 1, "answer-unheard": 1, "not-arrived": 1, "unknown-there": 1}
        assert said == {"counts": counts, "for_a_person": persons, "not_put_right": []}
        assert books.state(lost) == books.state(unheard) == ApplicationState.ACCEPTED
        assert books.intake.ledger.count().distinct == 4  # each visit once
        code, said, problem = books.reconcile()
        counts = {"agreed": 3, "answer-lost": 1, "unknown-there": 1}
        assert (code, problem) == (3, "")
        assert said == {"counts": counts, "for_a_person": persons, "not_put_right": []}
        assert books.intake.ledger.count().distinct == 4


def test_a_fleet_that_cannot_be_asked_changes_nothing_and_says_so(town: Town, books: Books) -> None:
    sealed = books.handed_over()
    code, said, problem = books.reconcile()
    assert (code, said) == (1, {})
    assert problem.startswith("failed: fleet-unreachable")
    town.write_toml()  # nobody may ask about this line any more
    with running(town, "serve", "--only", "kits") as door:
        until(lambda: listens(town.ports["kits"], door), PATIENCE_S, "the listener")
        code, said, problem = books.reconcile()
        assert (code, said) == (1, {})
        assert problem.startswith("failed: fleet-refused: status 403")
    assert books.state(sealed) == ApplicationState.FORWARDED
    assert books.intake.ledger.everything() == []


def page(*packet_ids: str, more: bool = False) -> Reply:
    lines = [{"packet_id": each, "manifest_sha256": "a" * 64, "state": "forwarded"} for each in packet_ids]
    return Reply(200, json.dumps({"applications": lines, "more": more}).encode())


FIRST, SECOND = "01KA0000000000000000000001", "01KA0000000000000000000002"


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(200, b"{"), "the statement is not one"),
        (Reply(200, b'{"applications":[],"more":false,"extra":1}'), "the statement is not one"),
        (page("../../etc/passwd"), "out of order"),
        (page(SECOND, FIRST), "out of order"),
        (page(FIRST, more=True), "out of order"),  # and again, for ever
        (Reply(200, b" " * 600_000), "more than 524288 bytes"),
        (Reply(302, b"", (("Location", "https://elsewhere.invalid/"),)), "status 302"),
        (None, "fleet-unreachable"),
    ],
)
def test_a_statement_that_is_none_is_refused(
    town: Town, books: Books, reply: Reply | None, says: str
) -> None:
    text = books.config.read_text()
    books.config.write_text(text.replace(f":{town.ports['kits']}", f":{town.ports['service']}"))
    with stand(town) as fleet:
        fleet.replies.append(reply)
        code, said, problem = books.reconcile()
    assert (code, said) == (1, {})
    assert says in problem
    assert books.intake.ledger.everything() == []
