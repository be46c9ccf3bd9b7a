"""Every screen of the kiosk in every language, in a real Chromium: accessible, whole, touchable."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from device.kiosk.app import words
from look import LANGUAGES
from protocol.ids import is_ulid
from tests.browser.kiosk import Stage, go, play, shoot, speak
from tests.device.kiosk.scenes import SCENES

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[1] / "node" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SEVEN_TO_ONE = "color-contrast-enhanced"

TOO_SMALL = """() =>
    [...document.querySelectorAll("button, a[href]:not(.skip), .choice, select, input.input")]
    .map((each) => [each.innerText || each.name, each.getBoundingClientRect()])
    .filter(([, box]) => box.width && (box.height < 47.9 || box.width < 47.9))
    .map(([words, box]) => `${words}: ${box.width}x${box.height}`)"""
OVERFLOW = """() => [...document.querySelectorAll("body, body *")]
    .filter((each) => each.getClientRects().length && !each.closest("svg, .hidden-words, .skip"))
    .filter((each) => each.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5
        || (each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display !== "inline"
            && getComputedStyle(each).overflowX === "visible" && each.clientWidth > 0))
    .map((each) => each.outerHTML.slice(0, 120))"""
TOO_HIGH = """() => [document.scrollingElement, document.getElementById("main")]
    .map((each) => each.scrollHeight - each.clientHeight).filter((more) => more > 1)"""
TEXTS = """() => {
    const texts = [document.title];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) texts.push(walker.currentNode.nodeValue);
    for (const name of ["aria-label", "alt", "title", "placeholder"])
        for (const each of document.querySelectorAll(`[${name}]`)) texts.push(each.getAttribute(name));
    return texts.map((text) => text.trim()).filter((text) => text);
}"""

WORDS = words()
SAME = {
    language: {text for key in WORDS if (text := WORDS.unfilled(key, "nl")) == WORDS.unfilled(key, language)}
    for language in LANGUAGES
}
NAMES = (
    *(
        "Maria Godelieve",
        "Maria",
        "Vandenbroucke",
        "Georges Maes",
        "Lydia Claeys",
        "An Peeters",
        "Bart De Smet",
    ),
    *("Sint-Jakobsstraat 41 bus 3", "Woonzorgcentrum De Vliedberg, kamer 214", "Langestraat 88", "Brugge"),
    *("Bel twee keer: hond", "Belg", "photo-unusable", "kit-signature", "Thuisloket", "J", "USB", "KINGSTON"),
    *("NL – Nederlands", "FR – Français", "DE – Deutsch", "EN – English", "NL", "FR", "DE", "EN"),
)


@pytest.mark.parametrize("name", SCENES)
def test_a_screen_is_whole_touchable_accessible_and_in_one_language(
    name: str, context: BrowserContext, address: str, stage: Stage
) -> None:
    desk = stage.fresh()
    page = context.new_page()
    SCENES[name][0](play(context, address, desk))
    texts = {}
    for language in LANGUAGES:
        speak(context, address, desk, language)
        go(page, address, name)
        shoot(page, name, language)
        assert page.locator("html").get_attribute("lang") == language
        assert page.locator("h1").count() == 1
        assert page.locator(".button.primary:visible").count() <= 1
        assert page.evaluate(OVERFLOW) == [], language
        assert page.evaluate(TOO_HIGH) == [], language
        assert page.evaluate(TOO_SMALL) == [], language
        assert violations(page) == [], language
        texts[language] = {bare(text) for text in page.evaluate(TEXTS)} - {""}
    for language in LANGUAGES[1:]:
        assert not texts["nl"] & texts[language] - SAME[language], f"the same in nl and {language}"


def bare(text: str) -> str:
    """Without what is nobody's language: names, numbers, signs."""
    if is_ulid(text) or re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}", text):
        return ""  # an id, or a group of a challenge
    for name in NAMES:
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "", text)
    text = text.strip(" –:")
    return text if re.search(r"[^\W\d_]", text) else ""


def violations(page: Page) -> list[str]:
    """What axe-core finds; its text is run by the debugger, which the page's own policy does not bind."""
    page.evaluate(AXE.read_text())
    found = page.evaluate(
        "([tags, extra]) => axe.run(document, {runOnly: {type: 'tag', values: tags}, "
        "resultTypes: ['violations'], rules: {[extra]: {enabled: true}}})",
        [TAGS, SEVEN_TO_ONE],
    )
    return [f"{each['id']}: {node['html'][:160]}" for each in found["violations"] for node in each["nodes"]]
