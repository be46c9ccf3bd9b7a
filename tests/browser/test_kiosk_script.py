"""What the kiosk's pages do by themselves in a browser, and that they work without script too."""

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from device.errors import Code, Remedy
from tests.browser.kiosk import Stage, play
from tests.device.kiosk.front import PIN
from tests.device.kiosk.today import INK

pytestmark = pytest.mark.browser


@pytest.fixture
def page(context: BrowserContext) -> Page:
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if "Content Security" in said.text else None)
    page.problems = problems  # type: ignore[attr-defined]
    return page


def test_an_officer_unlocks_with_the_pad(page: Page, address: str, stage: Stage) -> None:
    stage.fresh()
    page.goto(address)
    page.get_by_text("An Peeters").tap()
    for digit in "2719":
        page.get_by_role("button", name=digit, exact=True).tap()
    page.get_by_role("button", name="Wissen").tap()
    for digit in "828":
        page.get_by_role("button", name=digit, exact=True).tap()
    assert page.locator("#pin").input_value() == PIN
    page.get_by_role("button", name="Ontgrendelen").tap()
    expect(page.get_by_role("heading", name="Bezoeken van vandaag")).to_be_visible()
    assert page.problems == []  # type: ignore[attr-defined]


def test_the_page_follows_the_desk_without_being_loaded_again(
    context: BrowserContext, page: Page, address: str, stage: Stage
) -> None:
    desk = stage.fresh()
    playing = play(context, address, desk)
    playing.fingers()
    page.goto(address)
    page.evaluate("window.still = true")
    playing.finger_busy()
    expect(page.get_by_text("Houd uw vinger stil")).to_be_visible()
    desk.progress(0.8, "judging-finger")
    expect(page.locator("progress")).to_have_attribute("value", "0.800")
    desk.fail(Code.FINGER_POOR, Remedy.RETRY, "too-dry")
    expect(page.get_by_text("De vinger is te droog")).to_be_visible()
    assert page.evaluate("window.still")
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.title().startswith("De vingerafdruk is niet duidelijk genoeg")
    assert page.problems == []  # type: ignore[attr-defined]


def test_what_is_typed_and_where_one_is_outlive_news(page: Page, address: str, stage: Stage) -> None:
    desk = stage.fresh()
    page.goto(address)
    page.get_by_text("Bart De Smet").tap()
    page.locator("#pin").fill("12")
    desk.show(reduced_protection=False)
    expect(page.get_by_text("MINDER BEVEILIGD")).to_have_count(0)
    assert page.locator("#pin").input_value() == "12"
    assert page.locator("input[value='bart.desmet']").is_checked()
    assert page.evaluate("document.activeElement.id") == "pin"
    expect(page.get_by_role("button", name="5", exact=True)).to_be_visible()


def test_a_form_beside_the_step_is_left_alone_until_another_screen_is_due(
    context: BrowserContext, page: Page, address: str, stage: Stage
) -> None:
    desk = stage.fresh()
    play(context, address, desk).photo()
    page.goto(f"{address}/abandon")
    page.get_by_text("Verkeerd bezoek geopend").tap()
    desk.show(reduced_protection=False)
    page.wait_for_timeout(600)
    assert page.locator("input[value='mistake']").is_checked()
    desk.lock()
    expect(page.get_by_role("heading", name="Goeiedag, wie bent u?")).to_be_visible()


def test_the_camera_is_seen_live(context: BrowserContext, page: Page, address: str, stage: Stage) -> None:
    desk = stage.fresh()
    play(context, address, desk).photo()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "preview" in request.url else None)
    page.goto(address)
    expect(page.locator("[data-preview]")).to_have_js_property("naturalWidth", 640)
    before = len(asked)
    page.wait_for_timeout(700)
    assert len(asked) > before + 1
    desk.preview_works = False
    expect(page.get_by_text("Nog geen beeld van de camera")).to_be_visible()
    desk.preview_works = True
    expect(page.get_by_text("Nog geen beeld van de camera")).to_be_hidden()
    assert page.problems == []  # type: ignore[attr-defined]


def test_the_ink_grows_on_the_screen(context: BrowserContext, page: Page, address: str, stage: Stage) -> None:
    desk = stage.fresh()
    play(context, address, desk).signing()
    page.goto(address)
    first = page.locator(".ink img").get_attribute("src")
    desk.progress(0.7, "sign", INK)
    expect(page.locator(".ink img")).not_to_have_attribute("src", first or "")
    expect(page.locator(".ink img")).to_have_js_property("complete", True)
    page.get_by_role("button", name="De burger is klaar").tap()
    expect(page.get_by_role("heading", name="Kijkt u dit even na?")).to_be_visible()


def test_a_second_tap_is_no_second_wish(
    context: BrowserContext, page: Page, address: str, stage: Stage
) -> None:
    desk = stage.fresh()
    play(context, address, desk).open()
    page.goto(address)
    page.get_by_role("button", name="Kaart lezen").dblclick()
    expect(page.get_by_role("heading", name="De kaart wordt gelezen")).to_be_visible()
    assert page.get_by_role("alert").count() == 0


def test_a_visit_goes_well_without_any_script(chromium: Browser, address: str, stage: Stage) -> None:
    desk = stage.fresh()
    context = chromium.new_context(
        viewport={"width": 1280, "height": 800}, has_touch=True, java_script_enabled=False
    )
    page = context.new_page()

    def press(name: str) -> None:
        with page.expect_navigation():
            page.get_by_role("button", name=name).first.tap()

    page.goto(address)
    page.get_by_text("An Peeters").tap()
    page.locator("#pin").fill(PIN)
    press("Ontgrendelen")
    press("Openen")
    press("Kaart lezen")
    desk.finish()
    page.goto(address)
    press("Ja, dit is de persoon")
    page.get_by_text("De medewerker heeft dit voorgelezen").tap()
    press("Ik heb het begrepen")
    press("Gewone aanvraag")
    press("Foto nemen")
    desk.finish()
    page.goto(address)
    press("Foto behouden")
    press("Vinger lezen")
    desk.finish()
    page.goto(address)
    page.get_by_role("link", name="Deze vinger kan niet").tap()
    page.get_by_text("Geen enkele vinger van de linkerhand").tap()
    page.get_by_text("Voor altijd").tap()
    page.get_by_text("Vinger ontbreekt").tap()
    press("Verder")
    expect(page.get_by_text("Van deze hand komt geen vingerafdruk")).to_be_visible()
    press("Ja, zo opslaan")
    press("Laat tekenen")
    press("De burger is klaar")
    press("Ja, dit klopt")
    press("Verzegelen")
    desk.finish()
    page.goto(address)
    expect(page.get_by_role("heading", name="Verzegeld en veilig bewaard")).to_be_visible()
    context.close()


def test_a_visit_takes_few_taps(context: BrowserContext, page: Page, address: str, stage: Stage) -> None:
    """From unlocked to sealed without typing: one tap a thing to do, one more to look at card and photo."""
    desk = stage.fresh()
    play(context, address, desk).unlock()
    page.goto(address)
    taps = 0

    def press(name: str, then: bool = False) -> None:
        nonlocal taps
        taps += 1
        page.get_by_role("button", name=name).first.tap()
        page.wait_for_load_state()
        if then:
            expect(page.locator("progress, .ink")).to_have_count(1)
            desk.finish()

    press("Openen")
    press("Kaart lezen", then=True)
    press("Ja, dit is de persoon")
    press("Ik heb het begrepen")
    press("Gewone aanvraag")
    press("Foto nemen", then=True)
    press("Foto behouden")
    press("Vinger lezen", then=True)
    press("Vinger lezen", then=True)
    press("Laat tekenen", then=True)
    press("Ja, dit klopt")
    press("Verzegelen", then=True)
    expect(page.get_by_role("heading", name="Verzegeld en veilig bewaard")).to_be_visible()
    assert taps == 12
