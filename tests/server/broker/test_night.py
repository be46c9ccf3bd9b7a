"""The broker is checked by the job worker's own clock, and the page tells how that ended."""

import os
from pathlib import Path

import pytest

from server.app import create_app
from server.db.scope import EVERYONE
from server.fleet import broker_health, revocations
from server.work import utc_now
from tests.mosquitto import until
from tests.server.broker.conftest import Managed
from tests.server.broker.test_checks import NAMES, change
from tests.server.browsing import Browser
from tests.server.programs import PATIENCE_S, Program, alive, running
from tests.server.town import KIT

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]
LONG = bool(os.environ.get("THUISLOKET_LONG"))


def red(managed: Managed) -> list[str] | None:
    """The checks that are red; None as long as not every check was made."""
    with managed.town.database.reading(EVERYONE) as db:
        rows = broker_health.results(db)
    return [row.name for row in rows if row.state != "ok"] if {row.name for row in rows} == NAMES else None


def check_now(managed: Managed) -> Path:
    """Whatever the hour; its fleet.toml."""
    toml = managed.town.toml
    toml.write_text(toml.read_text().replace("[broker]", "[broker]\ncheck_every_s = 20"))
    return toml


def test_the_job_worker_checks_the_broker_by_itself_and_red_keeps_production_shut(managed: Managed) -> None:
    toml = check_now(managed)
    browser = Browser(create_app(managed.town.config))
    browser.sign_in("vloot")
    assert "nog nooit getest" in browser.get("/broker").text
    with running(managed.town, "work") as worker:
        until(lambda: red(managed) is not None, PATIENCE_S, "the first check")
        assert red(managed) == []
        assert '"broker checked"' in worker.log.read_text()
        page = browser.get("/broker").text
        assert "Laatst getest op" in page
        assert page.count("In orde") > len(NAMES)
        if not LONG:
            return
        change(managed, "use_username_as_clientid", "")
        until(lambda: red(managed) == ["take-over"], 2 * PATIENCE_S, "the check that sees it")
    assert "Niet veilig" in browser.get("/broker").text
    assert "take-over" in browser.get("/broker").text
    managed.write_toml(mode="production")
    config = str(toml)
    refused = Program(managed.town.folder / "refused.log", "server", "serve", "--config", config)
    assert refused.process.wait(PATIENCE_S) == 1
    assert "take-over" in refused.log.read_text()
    with managed.town.database.reading(EVERYONE) as db:
        assert not broker_health.is_stale(db, utc_now())


def test_a_kit_that_is_lost_while_the_broker_is_checked_does_not_wait_for_the_end_of_it(
    managed: Managed,
) -> None:
    managed.manager.agree()
    managed.write_toml(authority=False)  # which is other tests' too, and is not to know of it
    check_now(managed)
    with running(managed.town, "work") as worker:
        until(lambda: bool(worker.children()), PATIENCE_S, "the second broker")
        with managed.town.database.writing(EVERYONE) as db:
            revocations.begin(db, KIT, "lost", "vloot", utc_now())
        until(lambda: has_ended(managed), PATIENCE_S, "the broker to hear of it")
        assert red(managed) is None
        until(lambda: red(managed) == [], PATIENCE_S, "the check to be made after it")


def has_ended(managed: Managed) -> bool:
    with managed.town.database.reading(EVERYONE) as db:
        return "broker-session" not in revocations.waiting(db, KIT)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_worker_that_ends_in_the_middle_of_a_check_leaves_no_second_broker_behind(
    managed: Managed, end: str
) -> None:
    check_now(managed)
    with running(managed.town, "work") as worker:
        until(lambda: bool(worker.children()), PATIENCE_S, "the second broker")
        seconds = worker.children()
        getattr(worker, end)()
        until(lambda: not any(alive(pid) for pid in seconds), PATIENCE_S, "the second broker to end")
    assert red(managed) is None
