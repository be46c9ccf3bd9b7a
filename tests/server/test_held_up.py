"""A program that somebody stops in the middle of a transaction on SQLite: the real ones go on saying so, do
nothing by halves, lose nothing, and go on where they were once it is over."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256

import httpx
import pytest
from sqlalchemy import func, select

from protocol.ids import new_ulid
from protocol.messages import AccessEvent, Envelope, encode, instant
from protocol.topics import Tail, topic_of
from server.db.scope import EVERYONE
from server.db.tables import Message, Upload
from tests.mosquitto import Client, Mosquitto, until
from tests.server.db.test_held import IN_TURN, stopped
from tests.server.programs import PATIENCE_S, KitCaller, ready, running
from tests.server.town import KIT, Town, served_by

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture
def broker(town: Town) -> Iterator[Mosquitto]:
    with served_by(town, Mosquitto(town.folder / "broker", town.ground.pki)) as made:
        yield made


def event() -> tuple[str, bytes]:
    topic, now = topic_of(KIT, Tail.ACCESS), instant(datetime.now(UTC))
    body = AccessEvent("pin-changed", "0" * 64)
    return topic, encode(
        topic, Envelope(v=1, id=new_ulid(), kit=KIT, ses=1, seq=1, ts=now, ts_src="ntp", body=body)
    )


def rows(town: Town) -> tuple[int, int]:
    """Uploads and messages in the database."""
    with town.database.reading(EVERYONE) as db:
        uploads = db.scalar(select(func.count()).select_from(Upload)) or 0
        return uploads, db.scalar(select(func.count()).select_from(Message)) or 0


def test_a_program_that_stands_still_in_a_transaction_holds_the_others_up_and_no_longer(
    town: Town, broker: Mosquitto
) -> None:
    sealed, kit = town.packet(town.plan()), KitCaller(town)
    wish = json.dumps({"size": len(sealed.data), "sha256": sha256(sealed.data).hexdigest()}).encode()
    place, web = f"/kit/v1/uploads/{sealed.manifest.packet_id}", f"http://127.0.0.1:{town.ports['web']}"

    def begin() -> tuple[int, str, object]:
        status, headers, said = kit.call("POST", place, wish)
        return status, headers.get("Retry-After", ""), said

    def page(path: str) -> Callable[[], tuple[int, str]]:
        def get() -> tuple[int, str]:
            answer = httpx.get(web + path, trust_env=False, timeout=PATIENCE_S)
            return answer.status_code, answer.text

        return get

    with running(town, "all") as fleet:
        ready(town, fleet)
        until(lambda: "broker connected" in fleet.log.read_text(), PATIENCE_S, "the ingest")
        client = Client(broker.port, town.ground.pki.roots, kit.files, KIT).listen("tl/v1/fleet/state")
        with stopped(IN_TURN, town.config.database_url) as other, ThreadPoolExecutor(3) as pool:
            client.say(*event())
            asked = [pool.submit(begin), pool.submit(page("/readyz")), pool.submit(page("/healthz"))]
            answers = [each.result(PATIENCE_S) for each in asked]
            assert answers[0] == (503, "15", {"error": "writer-held"})
            assert answers[1][0] == 503
            assert json.loads(answers[1][1]) == {"ready": False, "why": "writer-held"}
            assert answers[2][0] == 200
            until(lambda: "not taken in yet" in fleet.log.read_text(), PATIENCE_S, "the ingest's word")
            assert f'"process": {other.pid}, "waited_s": 1' in fleet.log.read_text()
            assert rows(town) == (0, 0)
        assert until(lambda: begin()[0] == 200, PATIENCE_S, "the upload")
        until(lambda: rows(town) == (1, 1), PATIENCE_S, "the event that waited")
        assert page("/readyz")()[0] == 200
        client.close()
        assert fleet.stop() == 0
    assert "program ended" not in fleet.log.read_text()
