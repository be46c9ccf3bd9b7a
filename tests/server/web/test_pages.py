"""The pages as people use them: asking, planning, watching, in four languages, and with mistakes."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
from flask import Flask

from look.words import LANGUAGES, Words
from protocol.lifecycle import ApplicationState, VisitState
from protocol.messages import ApplicationEvent, Birth, Presence, VisitEvent
from server.app import WORDS
from server.db.scope import EVERYONE
from server.db.tables import Application, Request
from server.fleet import applications, drafts, outbox, visits
from server.fleet.status import State
from tests.server.browsing import Browser
from tests.server.fleet.test_ingest import health, say
from tests.server.fleet.test_quarantine import upload
from tests.server.town import FORM, KIT, Town

NOW = datetime.now(UTC)


def code_of(page: str) -> str:
    return page.partition('<p class="code">')[2].partition("<")[0]


def test_a_citizen_asks_and_follows_her_request(town: Town, browser: Browser) -> None:
    made = browser.send("/aanvraag", FORM)
    assert made.status_code == 201
    code = code_of(made.text)
    assert len(code.replace(" ", "")) == 16
    answer = browser.send("/status", {"code": code})
    assert "De gemeente plant het bezoek" in answer.text
    assert code.replace(" ", "") not in answer.text
    assert browser.send("/status", {"code": "nee"}).status_code == 404


def test_what_is_wrong_is_said_above_and_beside_the_field_and_nothing_is_lost(browser: Browser) -> None:
    answer = browser.send("/aanvraag", FORM | {"postcode": "900", "birth_date": "ooit"})
    assert answer.status_code == 422
    assert 'href="#postcode"' in answer.text
    assert 'id="postcode-error"' in answer.text
    assert 'href="#birth_date"' in answer.text
    assert "Kanariestraat 17" in answer.text
    assert 'value="wed-pm" aria-describedby="day-wed" checked' in answer.text


def test_a_field_that_is_not_on_the_form_is_refused(browser: Browser) -> None:
    assert browser.send("/aanvraag", FORM | {"tenant": "0207458223"}).status_code == 422


def test_what_somebody_writes_is_never_markup(town: Town, signed_in: Callable[[str], Browser]) -> None:
    evil = "<script>alert(1)</script>\"'>"
    made = town.ask(name=evil, street=evil, municipality=evil, note=evil, requester_name=evil)
    planner = signed_in("planner.brugge")
    for page in ("/requests", f"/requests/{made.request_id}"):
        text = planner.get(page).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;" in text


def test_too_many_forms_from_one_address_wait(browser: Browser) -> None:
    statuses = {browser.send("/aanvraag", {"name": ""}).status_code for _ in range(41)}
    assert statuses == {422, 429}


def test_a_form_too_big_is_refused(browser: Browser) -> None:
    assert browser.send("/aanvraag", {"name": "x" * 100_000}).status_code == 413


def plan(browser: Browser, request_id: str, **changes: str) -> Any:
    day = visits.local_day(NOW + timedelta(days=1)).isoformat()
    fields = {"officer": "an.peeters", "kit": KIT, "day": day, "time": "10:30", "minutes": "45"}
    return browser.send(f"/requests/{request_id}/plan", fields | changes, page=f"/requests/{request_id}")


def test_a_planner_gives_a_request_to_an_officer_and_takes_it_back(
    town: Town, signed_in: Callable[[str], Browser]
) -> None:
    planner = signed_in("planner.brugge")
    request_id = town.ask().request_id
    assert plan(planner, request_id).status_code == 303
    page = planner.get(f"/requests/{request_id}").text
    assert "10:30–11:15" in page
    visit_id = page.partition("/visits/")[2].partition("/")[0]
    answer = planner.send(f"/visits/{visit_id}/unassign", {}, page=f"/requests/{request_id}")
    assert answer.status_code == 303
    assert plan(planner, request_id).status_code == 303


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"day": "gisteren"}, 422),
        ({"time": ""}, 422),
        ({"minutes": "lang"}, 422),
        ({"day": "2020-01-01"}, 409),
        ({"minutes": "500"}, 409),
        ({"officer": "cis.maes"}, 409),
        ({"kit": "kit-damme-01"}, 409),
    ],
)
def test_a_plan_that_does_not_fit_is_answered_on_the_page(
    town: Town, signed_in: Callable[[str], Browser], changes: dict[str, str], status: int
) -> None:
    answer = plan(signed_in("planner.brugge"), town.ask().request_id, **changes)
    assert answer.status_code == status
    assert 'role="alert"' in answer.text


def test_a_visit_that_has_begun_is_taken_back_on_the_page_and_one_that_is_done_is_not(
    town: Town, signed_in: Callable[[str], Browser]
) -> None:
    planner, visit = signed_in("planner.brugge"), town.plan()
    say(town, VisitEvent(visit.visit_id, "opened"))
    page = f"/requests/{visit.request_id}"
    assert "Neem het alleen terug als" in planner.get(page).text
    assert planner.send(f"/visits/{visit.visit_id}/unassign", {}, page=page).status_code == 303
    assert "/plan" in planner.get(page).text
    answer = planner.send(f"/visits/{visit.visit_id}/unassign", {}, page="/")
    assert answer.status_code == 409
    assert "al teruggenomen" in answer.text


def test_the_inclusion_officer_reads_and_does_not_plan(
    town: Town, signed_in: Callable[[str], Browser]
) -> None:
    reader = signed_in("inclusie.brugge")
    request_id = town.ask().request_id
    assert "/plan" not in reader.get(f"/requests/{request_id}").text
    assert reader.send(f"/requests/{request_id}/plan", {}, page="/").status_code == 403


def filled(town: Town) -> None:
    visit = town.plan()
    say(town, Presence("online"))
    say(town, health(peripherals={"card": "ok", "camera": "missing"}))
    say(town, ApplicationEvent("01J00000000000000000000000", visit.visit_id, "sealed", "a" * 64))
    with town.database.writing(EVERYONE) as db:
        row = db.get_one(Application, "01J00000000000000000000000")
        row.state = "uploaded"
        applications.stuck(row, "service-400", NOW)


def test_the_dashboard_names_no_citizen(town: Town, signed_in: Callable[[str], Browser]) -> None:
    town.plan(town.ask().request_id)
    filled_page = signed_in("planner.brugge").get("/").text
    assert "8000 Brugge" in filled_page
    assert "An Peeters" in filled_page
    assert "Canari" not in filled_page


def birth(protection: Literal["hardware", "reduced"]) -> Birth:
    return Birth(
        version="1",
        started="2026-11-23T08:00:00Z",
        peripherals=(),
        certificate_until="2026-12-23T08:00:00Z",
        protection=protection,
        test_trust=False,
    )


@pytest.mark.parametrize("protection", ["hardware", "reduced"])
def test_a_kit_whose_keys_are_in_no_chip_is_named_on_the_dashboard(
    town: Town, signed_in: Callable[[str], Browser], protection: Literal["hardware", "reduced"]
) -> None:
    say(town, birth(protection))
    page = signed_in("planner.brugge").get("/").text
    assert ("Beperkte bescherming" in page) == (protection == "reduced")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("service-resting", "De dienst antwoordt niet."),
        ("service-503", "De dienst kan het nu niet aannemen."),
        ("service-302", "De beheerder moet het adres nakijken."),
        ("service-certificate", "De dienst en wij vertrouwen elkaars certificaat niet."),
        ("recipients-expired", "De beheerder moet een nieuwe vragen."),
    ],
)
def test_why_an_application_waits_and_until_when_is_said(
    town: Town, signed_in: Callable[[str], Browser], error: str, words: str
) -> None:
    planner = signed_in("planner.brugge")
    sealed = town.packet(town.plan())
    upload(town, sealed)
    path = f"/applications/{sealed.manifest.packet_id}"
    assert "Volgende poging" not in planner.get(path).text
    with town.database.writing(EVERYONE) as db:
        (claim,) = outbox.claim(db, ["forward"], 1, datetime.now(UTC))
        outbox.again(db, claim, NOW, error, 15.0)
    for page in ("/applications", path):
        assert words in planner.get(page).text
        assert error in planner.get(page).text
    assert planner.send(f"{path}/release", {}, page="/applications").status_code == 303
    with town.database.reading(EVERYONE) as db:
        assert outbox.due(db, ["forward"], datetime.now(UTC))  # the cause was mended: nobody waits for it


def test_what_has_waited_an_hour_for_its_service_is_on_the_dashboard(
    town: Town, signed_in: Callable[[str], Browser]
) -> None:
    planner = signed_in("planner.brugge")
    sealed = town.packet(town.plan())
    upload(town, sealed)
    with town.database.writing(EVERYONE) as db:
        (claim,) = outbox.claim(db, ["forward"], 1, datetime.now(UTC))
        outbox.again(db, claim, NOW, "service-unreachable", 15.0)
    assert "De dienst antwoordt niet." not in planner.get("/").text
    with town.database.writing(EVERYONE) as db:
        db.get_one(Application, sealed.manifest.packet_id).uploaded = NOW - timedelta(hours=2)
    assert "De dienst antwoordt niet." in planner.get("/").text


def test_a_stuck_application_is_let_go_on(town: Town, signed_in: Callable[[str], Browser]) -> None:
    planner = signed_in("planner.brugge")
    filled(town)
    assert "service-400" in planner.get("/applications").text
    path = "/applications/01J00000000000000000000000/release"
    assert planner.send(path, {}, page="/applications").status_code == 303
    assert planner.send(path, {}, page="/applications").status_code == 303  # twice: somebody was quicker
    assert "service-400" not in planner.get("/applications").text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_there_in_every_language(
    town: Town, app: Flask, signed_in: Callable[[str], Browser], language: str
) -> None:
    filled(town)
    request_id = town.ask().request_id
    planner, visitor = signed_in("planner.brugge"), Browser(app)
    pages = ["/", "/requests", f"/requests/{request_id}", "/applications", f"/kits/{KIT}", "/nowhere"]
    for browser, paths in ((planner, pages), (visitor, ["/aanvraag", "/status", "/sign-in"])):
        for path in paths:
            text = browser.get(f"{path}?lang={language}").text
            assert f'<html lang="{language}"' in text, path


def codes(source: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, Path(source).read_text()))


def test_every_code_a_page_may_show_has_words() -> None:
    words = Words.load(WORDS)
    wrong = codes(drafts.__file__, r'wrong\(name, "([a-z-]+)"') | {"choose", "missing", "not-served"}
    refused = codes(visits.__file__, r'Refused\("([a-z-]+)"') | {"officer-taken", "kit-taken", "bad-time"}
    refused -= {"unknown-request", "unknown-visit"}  # a page that is not there
    assert len(wrong) > 8
    assert len(refused) > 8
    wanted = [f"wrong.{code}" for code in wrong] + [f"refused.{code}" for code in refused]
    wanted += [f"evidence.{code}" for code in drafts.EVIDENCE]
    wanted += [f"requester.{code}" for code in drafts.REQUESTERS]
    wanted += [f"status.{code}" for code in get_args(State)]
    wanted += [f"visit-state.{state}" for state in VisitState]
    wanted += [f"application-state.{state}" for state in ApplicationState]
    assert [key for key in wanted if key not in words] == []


def test_the_api_says_the_same_as_the_dashboard(town: Town, signed_in: Callable[[str], Browser]) -> None:
    planner = signed_in("planner.brugge")
    filled(town)
    (kit,) = planner.get("/api/v1/kits").get_json()["kits"]
    assert (kit["kit_id"], kit["presence"], kit["peripherals"]["camera"]) == (KIT, "online", "missing")
    (visit,) = planner.get("/api/v1/visits").get_json()["visits"]
    assert visit["state"] == "planned"
    answer = planner.get("/api/v1/applications").get_json()
    assert answer["counts"] == {
        "sealed": 0,
        "uploaded": 0,
        "forwarded": 0,
        "accepted": 0,
        "rejected": 0,
        "recapture": 0,
        "expired": 0,
        "stuck": 1,
    }
    custody = planner.get("/api/v1/custody").get_json()
    assert custody["tally"] == {"created": 1, "queued": 0, "sent": 1, "accepted": 0, "refused": 0}
    assert custody["municipalities"] == {"Brugge": custody["tally"]}
    (request,) = planner.get("/api/v1/requests").get_json()["requests"]
    assert request["state"] == "planned"
    assert "Persoon" not in json.dumps([kit, visit, answer, request])


def test_the_description_of_the_api_names_its_paths_and_errors(browser: Browser) -> None:
    spec = browser.get("/api/v1/openapi.json").get_json()
    assert spec["openapi"].startswith("3.1")
    assert set(spec["paths"]) == {
        f"/api/v1/{name}" for name in ("kits", "visits", "applications", "custody", "requests")
    }
    for path in spec["paths"].values():
        assert {"200", "401", "403"} <= set(path["get"]["responses"])
    answer = browser.get("/api/v1/kits")
    assert (answer.status_code, answer.get_json()) == (401, {"error": 401})


def test_a_page_that_breaks_says_nothing_of_why(
    app: Flask, signed_in: Callable[[str], Browser], town: Town
) -> None:
    planner = signed_in("planner.brugge")
    made = town.ask()
    with town.database.writing(EVERYONE) as db:
        db.get_one(Request, made.request_id).name = b"damaged"
    app.testing = False
    answer = planner.get(f"/requests/{made.request_id}")
    assert answer.status_code == 500
    assert "FieldDamaged" not in answer.text
    assert "Er ging iets mis" in answer.text
