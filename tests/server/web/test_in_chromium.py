"""The fleet's pages in a real Chromium: on a desk and on a telephone, in four languages, alone and live."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page
from werkzeug.serving import make_server

from look.words import LANGUAGES
from protocol.messages import Presence, VisitEvent
from server.db.scope import EVERYONE
from server.db.tables import KitTenant, Visit
from tests.browser.kiosk import SHOTS
from tests.server.engines import SQLITE
from tests.server.fleet.test_ingest import say
from tests.server.town import BRUGGE, KIT, OTHER_KIT, PASSWORD, Town
from tests.server.web.full_town import MISSING_KIT, fill

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

AXE = Path(__file__).parents[2] / "node" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
DESK, TELEPHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
# What stands past the right edge of a page that is wider than its screen, or past the edge of its own card.
WIDER = """() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  const past = [...document.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > clientWidth);
  const cards = [...document.querySelectorAll(".card, .note, .facts, .table")];
  return [
    ...(scrollWidth > clientWidth ? [`${scrollWidth} > ${clientWidth}`, ...past.slice(0, 5)] : []),
    ...cards.filter(e => e.scrollWidth > e.clientWidth + 1),
  ].map(e => e.outerHTML?.slice(0, 200) ?? e);
}"""
NOW = datetime.now(UTC)


@pytest.fixture
def engine() -> str:
    return SQLITE  # what a page looks like is the same


@pytest.fixture
def address(app: Flask, town: Town) -> Iterator[str]:
    server = make_server("127.0.0.1", town.ports["web"], app, threaded=True)
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{town.ports['web']}"
    server.shutdown()
    thread.join()
    server.server_close()


def open_page(chromium: Chromium, address: str, size: dict[str, int], script: bool = True) -> Page:
    context: BrowserContext = chromium.new_context(
        viewport=size,  # type: ignore[arg-type]
        locale="nl-BE",
        java_script_enabled=script,
        base_url=address,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    return page


def sign_in(page: Page, name: str = "planner.brugge") -> None:
    page.goto("/sign-in")
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.click("button.primary")


def violations(page: Page) -> list[str]:
    page.evaluate(AXE.read_text())
    found = page.evaluate(
        "(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})",
        TAGS,
    )
    return [f"{each['id']}: {node['html'][:160]}" for each in found["violations"] for node in each["nodes"]]


@pytest.mark.parametrize("size", [DESK, TELEPHONE], ids=["desk", "telephone"])
def test_no_page_is_wider_than_its_screen_or_shuts_anybody_out(
    town: Town, chromium: Chromium, address: str, size: dict[str, int]
) -> None:
    full = fill(town)
    found: list[str] = []
    for name, paths in {
        "": ("/aanvraag", "/sign-in", "/status"),
        "planner.brugge": ("/", "/requests", f"/requests/{full.request_id}", "/quarantine"),
        "vloot": (
            *("/", "/applications", f"/applications/{full.packet_id}", "/incidents", "/broker", "/lists"),
            *(f"/kits/{kit_id}" for kit_id in (KIT, MISSING_KIT, OTHER_KIT)),
        ),
    }.items():
        page = open_page(chromium, address, size)
        hear(page, found)
        if name:
            sign_in(page, name)
        for language in LANGUAGES:
            for path in paths:
                page.goto(f"{path}?lang={language}")
                found += faults(page, f"{name}{path} {language}")
            if not name:
                page.fill("#code", full.code)
                page.click("button.primary")
                page.wait_for_selector("ol.happened")
                found += faults(page, f"way {language}")
        page.context.close()
    assert found == []


def hear(page: Page, found: list[str]) -> None:
    page.on("console", lambda line: found.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda problem: found.append(str(problem)))


def faults(page: Page, name: str) -> list[str]:
    """With all that is folded opened. A picture is kept when a folder for it is given in THUISLOKET_SHOTS."""
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    if SHOTS:
        folder = Path(SHOTS)
        folder.mkdir(parents=True, exist_ok=True)
        width = (page.viewport_size or DESK)["width"]
        page.screenshot(path=folder / f"{name.replace('/', '_')}-{width}.png", full_page=True)
    return [f"{name}: {fault}" for fault in (*page.evaluate(WIDER), *violations(page))]


def test_the_dashboard_follows_what_happens_without_a_new_page(
    town: Town, chromium: Chromium, address: str
) -> None:
    page = open_page(chromium, address, DESK)
    sign_in(page)
    page.wait_for_selector("#live.on")
    page.evaluate("window.same = true")
    visit = town.plan(hour=13)
    page.wait_for_selector("text=13:00–13:45")
    say(town, Presence("online"))
    page.wait_for_selector(f'[data-part=kits] tr:has-text("{KIT}") >> text=Online')
    page.focus(f'a[href="/requests/{visit.request_id}"]')
    say(town, VisitEvent(visit.visit_id, "opened"))
    page.wait_for_selector("[data-part=visits] >> text=Bezig")
    assert page.evaluate("document.activeElement.getAttribute('href')") == f"/requests/{visit.request_id}"
    assert page.evaluate("window.same")
    page.context.close()


def test_asking_planning_and_signing_out_work_without_script(
    town: Town, chromium: Chromium, address: str
) -> None:
    page = open_page(chromium, address, TELEPHONE, script=False)
    page.goto("/aanvraag")
    page.click("button.primary")
    assert page.locator("[role=alert] a").count() == 7
    for name, value in {
        "name": "Rita Claeys",
        "birth_date": "27/03/1941",
        "phone": "050 12 34 56",
        "street": "Dorp 1",
        "postcode": "8000",
        "municipality": "Brugge",
    }.items():
        page.fill(f"#{name}", value)
    page.check("input[value=self]")
    page.check("input[value=institution][name=evidence]")
    page.click("button.primary")
    assert len(page.inner_text(".code").replace(" ", "")) == 16
    sign_in(page)
    page.goto("/requests")
    page.click("text=Rita Claeys")
    page.select_option("#officer", "an.peeters")
    page.click("#plan button.primary")
    assert "An Peeters" in page.inner_text(".visit")
    page.click("text=Bezoek terugnemen")
    page.click("text=Afmelden")
    assert page.url.endswith("/sign-in")
    page.context.close()


def test_who_cannot_open_the_kit_is_not_planned_and_the_page_says_who_can(
    town: Town, chromium: Chromium, address: str
) -> None:
    fill(town)
    request_id = town.ask(name="Rita Claeys").request_id
    page = open_page(chromium, address, TELEPHONE, script=False)
    sign_in(page)
    page.goto(f"/requests/{request_id}")
    page.select_option("#kit", KIT)
    for officer, words in (("fons.de.wit", "kan deze koffer niet openen"), ("bo.claes", "niet openen")):
        page.select_option("#officer", officer)
        page.click("#plan button.primary")
        assert words in page.inner_text("[role=alert]")
        assert "An Peeters" in page.inner_text("#plan details")
        assert page.locator(".visit").count() == 0
    page.select_option("#officer", "els.claes")
    page.fill("#time", "15:00")
    page.click("#plan button.primary")
    assert "naast een collega die hem opent" in page.inner_text(".visit .note")
    page.goto("/")
    assert page.locator("[data-part=visits] .note li").count() == 3
    page.context.close()


def test_a_visit_is_given_to_another_kit_without_script(town: Town, chromium: Chromium, address: str) -> None:
    visit = town.plan(hour=13)
    with town.database.writing(EVERYONE) as db:
        db.add(KitTenant(kit_id=OTHER_KIT, tenant=BRUGGE))
    page = open_page(chromium, address, TELEPHONE, script=False)
    sign_in(page)
    page.goto(f"/requests/{visit.request_id}")
    assert KIT in page.inner_text(".visit p")
    page.select_option(f"#kit-{visit.visit_id}", OTHER_KIT)
    page.click("text=Aan deze koffer geven")
    assert OTHER_KIT in page.inner_text(".visit p")
    with town.database.reading(EVERYONE) as db:
        assert (db.get_one(Visit, visit.visit_id).kit_id, db.get_one(Visit, visit.visit_id).epoch) == (
            OTHER_KIT,
            2,
        )
    page.context.close()
