"""A citizen's data is where it must be and nowhere else: no log, no file, no row has it in clear."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog

from server import logs
from server.app import create_app
from server.db.scope import EVERYONE
from server.fleet import bags, kits, visits
from server.fleet.refused import Refused
from tests.server.browsing import Browser
from tests.server.town import FORM, KIT, Town

CANARIES = (
    "Kanarinski",
    "Canarystraat",
    "85.07.30-033.28",
    "85073003328",
    "050987654",
    "050 98 76 54",
    "Kanariezorg",
    "1941-03-27",
    "27/03/1941",
)
PERSON = FORM | {
    "name": "Wislawa Kanarinski",
    "street": "Canarystraat 7",
    "national_number": "85.07.30-033.28",
    "phone": "050 98 76 54",
    "note": "Kanarinski staat op de bel",
    "requester_name": "Kanariezorg",
}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    out = io.StringIO()
    logs.set_up("test")
    structlog.configure(
        logger_factory=structlog.WriteLoggerFactory(file=out), cache_logger_on_first_use=False
    )
    before = logging.getLogger().handlers
    yield out
    logging.getLogger().handlers = before
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_citizens_data_lies_nowhere_in_clear(town: Town, log: io.StringIO) -> None:
    app = create_app(town.config)
    app.testing = False
    browser = Browser(app)
    made = browser.send("/aanvraag", PERSON)
    assert made.status_code == 201
    code = made.text.partition('<p class="code">')[2].partition("<")[0].replace(" ", "")
    browser.send("/aanvraag", PERSON | {"postcode": "1"})
    planner = Browser(app)
    planner.sign_in("planner.brugge")
    assert "Kanarinski" in planner.get("/requests").text
    (row,) = planner.get("/api/v1/requests").get_json()["requests"]
    request_id = row["request_id"]
    visit = town.plan(request_id)
    with town.database.writing(EVERYONE) as db:
        bags.build(db, town.fields, town.sealer, town.dock.blobs, KIT, datetime.now(UTC))
    with pytest.raises(Refused), town.database.writing(EVERYONE) as db:
        visits.unassign(db, town.actor("inclusion"), visit.visit_id, datetime.now(UTC))
    metrics = planner.get("/metrics", headers={"Authorization": "Bearer " + "t" * 32}).text
    pages = planner.get("/").text + planner.get("/applications").text + metrics
    written = [*town.disk(), (town.toml, log.getvalue().encode()), (town.toml, pages.encode())]
    assert len(written) > 4
    for path, data in written:
        for canary in (*CANARIES, code):
            assert canary.encode() not in data, (path, canary)


def test_the_log_lets_only_harmless_words_through(log: io.StringIO) -> None:
    logger = structlog.get_logger()
    logger.info(
        "tried",
        kit="kit-brugge-01",
        packet="01J00000000000000000000000",
        count=3,
        outcome="service-500",
        name="Wislawa Kanarinski",
        number="85.07.30-033.28",
        plain="85073003328",
        phone="+3250987654",
        text="Canarystraat 7",
        nested={"name": "Kanarinski"},
        on=True,
        nothing=None,
    )
    line = json.loads(log.getvalue())
    assert line["kit"] == "kit-brugge-01"
    assert line["packet"] == "01J00000000000000000000000"
    assert (line["count"], line["outcome"], line["on"], line["nothing"]) == (3, "service-500", True, None)
    for name in ("name", "number", "plain", "phone", "text", "nested"):
        assert line[name] == logs.HIDDEN, name


def test_of_an_exception_the_log_keeps_what_and_where(log: io.StringIO) -> None:
    try:
        raise ValueError("Kanarinski")
    except ValueError as problem:
        structlog.get_logger().error("failed", exc_info=problem)
        logging.getLogger("some.library").warning("about Kanarinski", exc_info=True)
    assert "Kanarinski" not in log.getvalue()
    first, second = (json.loads(line) for line in log.getvalue().splitlines())
    assert first["exception"] == "builtins.ValueError"
    assert "test_canary.py" in first["logger"]
    assert (second["source"], second["exception"]) == ("some.library", "builtins.ValueError")


def test_a_retired_kit_gets_no_bag(town: Town) -> None:
    with town.database.writing(EVERYONE) as db:
        kits.retire(db, KIT, datetime.now(UTC))
        assert bags.build(db, town.fields, town.sealer, town.dock.blobs, KIT, datetime.now(UTC)) is None
