"""Every screen of the kiosk in every language, in a real Chromium: accessible, whole, touchable."""

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from look import LANGUAGES
from tests.browser.kiosk import go, play, served, shoot, speak
from tests.device.kiosk.front import MemoryDesk
from tests.device.kiosk.scenes import SCENES

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[1] / "node" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SEVEN_TO_ONE = "color-contrast-enhanced"

TOO_SMALL = """() => [...document.querySelectorAll("button, a.button, a.tile, .choice, select, input.input")]
    .map((each) => [each.innerText || each.name, each.getBoundingClientRect()])
    .filter(([, box]) => box.width && (box.height < 47.9 || box.width < 47.9))
    .map(([words, box]) => `${words}: ${box.width}x${box.height}`)"""
OVERFLOW = """() => [...document.querySelectorAll("body, body *")]
    .filter((each) => each.getClientRects().length && !each.closest("svg, .hidden-words, .skip"))
    .filter((each) => each.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5
        || (each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display !== "inline"
            && getComputedStyle(each).overflowX === "visible" && each.clientWidth > 0))
    .map((each) => each.outerHTML.slice(0, 120))"""
TEXTS = """() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) {
        const text = walker.currentNode.nodeValue.trim();
        if (text && !walker.currentNode.parentElement.closest("noscript, script")) texts.push(text);
    }
    return texts;
}"""


@pytest.mark.parametrize("name", SCENES)
def test_a_screen_is_whole_touchable_and_accessible_in_every_language(
    name: str, context: BrowserContext
) -> None:
    desk = MemoryDesk()
    page = context.new_page()
    with served(desk) as address:
        SCENES[name][0](play(context, address, desk))
        for language in LANGUAGES:
            speak(context, address, desk, language)
            go(page, address, name)
            shoot(page, name, language)
            assert page.locator("html").get_attribute("lang") == language
            assert page.locator("h1").count() == 1
            assert page.locator(".button.primary:visible").count() <= 1
            assert page.evaluate(OVERFLOW) == [], (name, language)
            assert page.evaluate(TOO_SMALL) == [], (name, language)
            assert violations(page) == [], (name, language)
        page.goto("about:blank")


def violations(page: Page) -> list[str]:
    """What axe-core finds; its text is run by the debugger, which the page's own policy does not bind."""
    page.evaluate(AXE.read_text())
    found = page.evaluate(
        "([tags, extra]) => axe.run(document, {runOnly: {type: 'tag', values: tags}, "
        "resultTypes: ['violations'], rules: {[extra]: {enabled: true}}})",
        [TAGS, SEVEN_TO_ONE],
    )
    return [f"{each['id']}: {node['html'][:160]}" for each in found["violations"] for node in each["nodes"]]
