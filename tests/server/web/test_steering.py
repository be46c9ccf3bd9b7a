"""The part of a kit's page that steers it: jobs and settings, for who may, and the difference in words."""

from collections.abc import Callable

from sqlalchemy import select

from protocol.messages import Reported, SettingResult
from protocol.topics import Tail
from server.db.scope import EVERYONE
from server.db.tables import KitJob
from tests.server.browsing import Browser
from tests.server.fleet.test_jobs import say
from tests.server.town import KIT, Town

PAGE = f"/kits/{KIT}"


def test_an_administrator_gives_a_job_sees_it_and_takes_it_back(
    town: Town, signed_in: Callable[[str], Browser]
) -> None:
    admin = signed_in("beheer.brugge")
    assert admin.send(f"{PAGE}/jobs", {"action": "report-now"}, page=PAGE).status_code == 303
    text = admin.get(PAGE).text
    assert "Wacht op de koffer" in text
    assert "beheer.brugge" in text
    with town.database.reading(EVERYONE) as db:
        job = db.scalars(select(KitJob)).one()
    assert admin.send(f"{PAGE}/jobs/{job.job}/cancel", {}, page=PAGE).status_code == 303
    assert "Ingetrokken" in admin.get(PAGE).text
    again = admin.send(f"{PAGE}/jobs/{job.job}/cancel", {}, page=PAGE)
    assert "Intrekken kan niet meer" in admin.get(again.location.partition("#")[0]).text
    assert (
        admin.send(f"{PAGE}/jobs", {"action": "shell"}, page=PAGE).location
        == f"{PAGE}?no=unknown-action#steering"
    )


def test_settings_are_wished_and_compared_with_what_the_kit_says(
    town: Town, signed_in: Callable[[str], Browser]
) -> None:
    admin = signed_in("beheer.brugge")
    wanted = {"language": "fr", "health-every-s": "30", "idle-lock-s": ""}
    assert admin.send(f"{PAGE}/settings", wanted, page=PAGE).status_code == 303
    text = admin.get(PAGE).text
    assert "Nog niet gehoord" in text
    assert "Hij staat op versie 0" in text
    results = (
        SettingResult("health-every-s", "applied"),
        SettingResult("language", "pending", "after-visit"),
    )
    say(town, Tail.REPORTED, Reported(version=1, results=results))
    text = admin.get(PAGE).text
    assert "Toegepast" in text
    assert "Na het bezoek" in text
    assert "Hij staat op versie" not in text
    bad = admin.send(f"{PAGE}/settings", {"idle-lock-s": "1"}, page=PAGE)
    assert "Er is niets veranderd" in admin.get(bad.location.partition("#")[0]).text


def test_who_may_not_steer_sees_how_it_stands_and_no_form(
    town: Town, signed_in: Callable[[str], Browser]
) -> None:
    planner = signed_in("planner.brugge")
    text = planner.get(PAGE).text
    assert "Opdrachten" in text
    assert "/jobs" not in text
    assert planner.send(f"{PAGE}/jobs", {"action": "lock"}, page="/").status_code == 403
    foreign = signed_in("planner.damme").send(f"{PAGE}/settings", {}, page="/")
    assert foreign.status_code == 403
