"""Every route, made from the URL map: shut to strangers, to roles without the power, to other towns."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import Rule

from protocol.messages import ApplicationEvent, VisitEvent
from server.app import _bare
from server.auth.roles import MAY
from server.db.scope import EVERYONE
from server.db.tables import Application
from server.fleet import applications, quarantine, setup, visits
from server.web.gate import NEEDS, OPEN, SAFE
from tests.server.browsing import TOKEN, Browser
from tests.server.fleet.test_ingest import say
from tests.server.town import ACCOUNTS, BRUGGE, KIT, Town

STATIC = {"look.static", "public.static"}
NOWHERE = "01J00000000000000000000000"


def routes() -> Iterator[tuple[str, str, str]]:
    """Endpoint, method, path with ids of nobody; of a bare app, so that it needs no database."""
    for rule in _bare().url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield rule.endpoint, method, path_of(rule, NOWHERE)


def path_of(rule: Rule, value: str) -> str:
    path = rule.rule
    for name in rule.arguments:
        path = path.replace(f"<{name}>", value).replace(f"<path:{name}>", "fleet.css")
    return path


ROUTES = list(routes())


def test_every_endpoint_is_listed_once() -> None:
    endpoints = {endpoint for endpoint, _, _ in ROUTES} | STATIC
    assert endpoints == OPEN | set(NEEDS)
    assert not OPEN & set(NEEDS)


def test_the_list_of_what_is_open_is_short() -> None:
    assert len(OPEN) <= 8


@pytest.mark.parametrize(("endpoint", "method", "path"), ROUTES)
def test_a_stranger_gets_in_nowhere_but_where_it_is_open(
    browser: Browser, endpoint: str, method: str, path: str
) -> None:
    answer = browser.client.open(path, method=method)
    answer.close()
    if endpoint not in OPEN:
        assert answer.status_code in (303, 401)
        assert answer.status_code == 401 or answer.location == "/sign-in"
    elif method in SAFE:
        assert answer.status_code in (200, 404)
    else:
        assert answer.status_code == 400  # no form of ours


@pytest.fixture
def people(signed_in: Callable[[str], Browser]) -> dict[str, Browser]:
    return {name: signed_in(name) for name in ACCOUNTS}


def test_every_role_gets_where_its_powers_lead_and_no_further(town: Town, people: dict[str, Browser]) -> None:
    for name, (role, _) in ACCOUNTS.items():
        for endpoint, method, path in ROUTES:
            if endpoint in OPEN or method != "GET" or endpoint == "dashboard.events":
                continue
            power = NEEDS[endpoint]
            status = people[name].get(path).status_code
            may = power is None or power in MAY[role]  # type: ignore[index]
            assert (status != 403) == may, (name, endpoint, status)


def test_nothing_is_changed_without_a_form_of_ours(town: Town, people: dict[str, Browser]) -> None:
    for name, browser in people.items():
        for endpoint, method, path in ROUTES:
            if method in SAFE:
                continue
            for fields in ({}, {"form_token": "x" * 32}, {"form_token": "é"}):
                answer = browser.client.post(path, data=fields)
                assert answer.status_code in (400, 403), (name, endpoint)


def test_a_token_of_another_persons_form_is_no_good(town: Town, people: dict[str, Browser]) -> None:
    found = TOKEN.search(people["planner.damme"].get("/").text)
    assert found
    answer = people["planner.brugge"].client.post("/sign-out", data={"form_token": found[1]})
    assert answer.status_code == 400


def test_a_form_sent_by_another_site_is_refused(signed_in: Callable[[str], Browser]) -> None:
    browser = signed_in("planner.brugge")
    found = TOKEN.search(browser.get("/").text)
    assert found
    answer = browser.client.post(
        "/sign-out", data={"form_token": found[1]}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 400


def objects(town: Town) -> list[tuple[str, str, dict[str, str]]]:
    """Everything of Brugge that has an address: method, path, fields."""
    visit = town.plan()
    say(town, ApplicationEvent(NOWHERE, visit.visit_id, "sealed", "a" * 64))
    with town.database.writing(EVERYONE) as db:
        row = db.get_one(Application, NOWHERE)
        row.state = "uploaded"
        applications.stuck(row, "service-400", row.changed)
    open_request = town.ask().request_id
    day = (visit.starts + timedelta(days=1)).date().isoformat()
    plan = {"officer": "an.peeters", "kit": KIT, "day": day, "time": "09:00", "minutes": "45"}
    gone = town.plan(hour=14)
    handed = town.plan(hour=16).visit_id
    with town.database.writing(EVERYONE) as db:
        entry = {"id": "kit-brugge-09", "bag_recipient": town.ground.bag[1], "tenants": [BRUGGE]}
        setup.add(db, {"kits": [entry]}, visit.starts)
    clerk = town.actor()
    with town.database.writing(clerk.scope) as db:
        visits.unassign(db, clerk, gone.visit_id, gone.starts)
    say(town, VisitEvent(gone.visit_id, "opened"))
    with town.database.reading(EVERYONE) as db:
        (matter,) = quarantine.waiting(db)
    return [
        ("POST", f"/quarantine/{matter.item_id}/decide", {"decision": "leave"}),
        ("GET", f"/requests/{visit.request_id}", {}),
        ("GET", f"/requests/{open_request}", {}),
        ("POST", f"/requests/{open_request}/plan", plan),
        ("POST", f"/visits/{visit.visit_id}/unassign", {}),
        ("POST", f"/visits/{handed}/hand-over", {"kit": "kit-brugge-09"}),
        ("POST", f"/applications/{NOWHERE}/release", {}),
        ("GET", f"/kits/{KIT}", {}),
    ]


def test_a_planner_of_one_municipality_never_finds_what_is_anothers(
    town: Town, signed_in: Callable[[str], Browser]
) -> None:
    damme, brugge = signed_in("planner.damme"), signed_in("planner.brugge")
    things = objects(town)
    for method, path, fields in things:
        answer = damme.get(path) if method == "GET" else damme.send(path, fields, page="/")
        assert answer.status_code == 404, path
    for page in (
        "/",
        "/requests",
        "/applications",
        "/quarantine",
        "/api/v1/requests",
        "/api/v1/visits",
        "/api/v1/kits",
    ):
        text = damme.get(page).text
        assert KIT not in text
        assert "Canari" not in text
        assert NOWHERE not in text
    for method, path, fields in things:
        answer = brugge.get(path) if method == "GET" else brugge.send(path, fields, page="/")
        assert answer.status_code in (200, 303), path


def test_no_id_of_the_url_map_is_forgotten_above(town: Town) -> None:
    named = {endpoint for endpoint, _, path in ROUTES if NOWHERE in path}
    assert named == {
        "requests.show",
        "requests.plan",
        "requests.unassign",
        "requests.hand_over",
        "applications.release",
        *("applications.show", "applications.chain"),  # another town's: test_application_page.py
        "incidents.acknowledge",  # an administrator's: tests/server/fleet/test_deletions.py
        "quarantine.decide",
        "kits.show",
        "steering.give",  # an administrator's: tests/server/fleet/test_jobs.py
        "steering.cancel",
        "steering.wish",
        "brokers.revoke",  # of the fleet administrator alone, who sees every kit
        *("kits.lost", "kits.found"),  # by administrators alone: test_lost_kits.py
        *("rosters.put", "rosters.take"),  # the same: test_rosters.py
    }


@pytest.mark.parametrize(("endpoint", "method", "path"), [each for each in ROUTES if each[1] == "GET"])
def test_every_answer_tells_the_browser_what_to_refuse(
    browser: Browser, endpoint: str, method: str, path: str
) -> None:
    answer = browser.get(path)
    answer.close()
    headers = answer.headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == ("no-cache" if endpoint in STATIC else "no-store")


def test_cookies_are_kept_from_scripts_and_other_sites(browser: Browser) -> None:
    cookies = browser.get("/sign-in").headers.getlist("Set-Cookie")
    cookies += browser.sign_in("planner.brugge").headers.getlist("Set-Cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie


def test_behind_https_cookies_are_bound_to_the_host(town: Town, request: pytest.FixtureRequest) -> None:
    text = town.toml.read_text().replace("[web]", "[web]\nsecure_cookies = true")
    town.toml.write_text(text)
    app: Flask = request.getfixturevalue("app")  # made from what was just written
    answer = app.test_client().get("https://localhost/sign-in")
    (cookie,) = answer.headers.getlist("Set-Cookie")
    assert cookie.startswith("__Host-visitor=")
    assert "Secure" in cookie
    assert "max-age=63072000" in answer.headers["Strict-Transport-Security"]


def test_a_session_token_changes_at_every_sign_in(browser: Browser) -> None:
    tokens: list[Any] = []
    for _ in range(2):
        browser.sign_in("planner.brugge")
        cookie = browser.client.get_cookie("tl-session")
        assert cookie
        tokens.append(cookie.value)
    assert tokens[0] != tokens[1]
    browser.client.set_cookie("tl-session", tokens[0])
    assert browser.get("/").status_code == 303  # the first has ended


def test_signing_out_ends_the_session_on_the_server(signed_in: Callable[[str], Browser]) -> None:
    browser = signed_in("planner.brugge")
    cookie = browser.client.get_cookie("tl-session")
    assert cookie
    answer = browser.send("/sign-out", {}, page="/")
    assert answer.headers["Clear-Site-Data"]
    browser.client.set_cookie("tl-session", cookie.value)
    assert browser.get("/").status_code == 303


def test_metrics_are_read_with_the_token_or_by_an_administrator(
    app: Flask, signed_in: Callable[[str], Browser]
) -> None:
    stranger = Browser(app)
    assert stranger.get("/metrics").status_code == 303
    for header in ("Bearer wrong", "Bearer ", "Basic " + "t" * 32):
        assert stranger.get("/metrics", headers={"Authorization": header}).status_code == 303
    text = stranger.get("/metrics", headers={"Authorization": "Bearer " + "t" * 32}).text
    assert 'thuisloket_applications{state="sealed"} 0' in text
    assert 'thuisloket_kits{presence="unknown"} 2' in text
    assert 'thuisloket_outbox{queue="bag"} 2' in text
    assert signed_in("vloot").get("/metrics").status_code == 200
