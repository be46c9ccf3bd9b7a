"""What the database cannot do just now is answered so, and none of it is done."""

import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from sqlalchemy import column, func, select, table

from server.db.engine import MOST_CONNECTIONS, Database
from server.db.scope import EVERYONE
from server.db.tables import Kit as KitRow
from server.db.tables import Request, Visit
from server.kit_app import create_kit_app
from tests.mosquitto import until
from tests.server.browsing import Browser
from tests.server.engines import POSTGRESQL
from tests.server.town import KIT, Town
from tests.server.web.caller import Kit
from tests.server.web.test_pages import plan


def waits(town: Town) -> bool:
    """Whether somebody waits for somebody else's lock."""
    others = table("pg_stat_activity", column("wait_event_type"), column("datname"))
    mine = select(func.count()).where(
        others.c.wait_event_type == "Lock", others.c.datname == town.database_name
    )
    with town.database.reading(EVERYONE) as db:
        return bool(db.scalar(mine))


@pytest.mark.parametrize("engine", [POSTGRESQL])
def test_of_two_that_wait_for_each_other_the_planner_reads_that_nothing_was_kept(
    town: Town, signed_in: Callable[[str], Browser]
) -> None:
    planner, request_id = signed_in("planner.brugge"), town.ask().request_id
    answers = []
    page = threading.Thread(target=lambda: answers.append(plan(planner, request_id)))
    with town.database.writing(EVERYONE) as db:
        db.get_one(KitRow, KIT, with_for_update=True)
        page.start()  # has the request, and waits for the kit
        until(lambda: waits(town), what="the page to wait")
        db.get_one(Request, request_id, with_for_update=True)  # PostgreSQL ends who has waited for longer
    page.join()
    (answer,) = answers
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "15")
    assert "Er is niets bewaard" in answer.text
    with town.database.reading(EVERYONE) as db:
        assert db.scalar(select(func.count()).select_from(Visit)) == 0
    assert plan(planner, request_id).status_code == 303


@pytest.mark.parametrize("engine", [POSTGRESQL])
def test_while_its_database_is_away_the_fleet_says_so_and_then_goes_on(
    town: Town, signed_in: Callable[[str], Browser], kit: Callable[..., Kit]
) -> None:
    planner, sealed = signed_in("planner.brugge"), town.packet(town.plan())
    packet_id = sealed.manifest.packet_id
    assert town.engine.server is not None
    with town.engine.server.away(town.database_name):
        page, call = planner.get("/requests"), kit().begin(packet_id, sealed.data)
        assert (page.status_code, page.headers["Retry-After"]) == (503, "15")
        assert "bezet" in page.text
        assert (call.status_code, call.get_json()) == (503, {"error": "database"})
    assert planner.get("/requests").status_code == 200
    assert kit().begin(packet_id, sealed.data).get_json()["offset"] == 0


def test_a_kit_that_finds_every_connection_taken_is_to_come_again(
    town: Town, kit: Callable[..., Kit]
) -> None:
    database = Database(town.config.database_url, patience_s=0.3)
    caller = Kit(create_kit_app(town.config, database).test_client(), kit().environ["gunicorn.socket"].der)
    sealed = town.packet(town.plan())
    with ExitStack() as taken:
        for _ in range(MOST_CONNECTIONS[database.url.get_backend_name()]):
            taken.enter_context(database.engine.connect())
        answer = caller.begin(sealed.manifest.packet_id, sealed.data)
        assert (answer.status_code, answer.get_json()) == (503, {"error": "database"})
        assert answer.headers["Retry-After"] == "15"
    assert caller.begin(sealed.manifest.packet_id, sealed.data).status_code == 200
    database.close()
