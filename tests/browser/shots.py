"""Pictures of the real thing: the whole demo runs, a visit is played in Chromium, every screen is kept.

`python -m tests.browser.shots` writes all to build/shots/ and the README's picture to docs/visit.png.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page, expect, sync_playwright

from provisioning.demo.player import HAND_FINGERS
from provisioning.demo.progress import Progress
from provisioning.demo.running import Demo, Script, running
from tests.chromium import ARGUMENTS

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "shots"
PICTURE = ROOT / "docs" / "visit.png"
OF_THE_README = "kiosk-finger-left"  # own drawings only: no portrait of anybody in the repository
PATIENCE_MS = 60_000


class Camera:
    """Numbers the pictures in the order they are taken."""

    def __init__(self, page: Page, prefix: str) -> None:
        self.page = page
        self._prefix = prefix
        self._taken = 0

    def take(self, name: str) -> None:
        self._taken += 1
        path = SHOTS / f"{self._prefix}-{self._taken:02d}-{name}.png"
        self.page.screenshot(path=path, animations="disabled")
        if f"{self._prefix}-{name}" == OF_THE_README:
            shutil.copyfile(path, PICTURE)


def kiosk(browser: Browser, demo: Demo) -> None:
    """One visit by touch, from the PIN to the service's answer."""
    officer, visit = demo.world.officers[0], demo.visits[0]
    page = browser.new_page(viewport={"width": 1280, "height": 800}, has_touch=True, locale="nl-BE")
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    camera = Camera(page, "kiosk")

    def tap(name: str) -> None:
        page.get_by_role("button", name=name).first.tap()

    def title(words: str) -> None:
        expect(page.get_by_role("heading", level=1, name=words)).to_be_visible()

    page.goto(demo.world.url("kiosk"))
    page.get_by_text(officer.name).tap()
    for digit in officer.pin:
        page.get_by_role("button", name=digit, exact=True).tap()
    camera.take("unlock")
    tap("Ontgrendelen")
    expect(page.get_by_role("heading", name=visit.citizen.surname)).to_be_visible()
    camera.take("visits")
    page.locator(f"form[action='/visits/{visit.visit_id}/open'] button").tap()
    title("Steek de identiteitskaart in de lezer")
    camera.take("card")
    demo.hands.insert(visit.citizen.key, paced=True)
    tap("Kaart lezen")
    title("De kaart wordt gelezen")
    camera.take("card-busy")
    title("Is dit de persoon voor u?")
    camera.take("who")
    tap("Ja, dit is de persoon")
    title("Wat gaan we doen?")
    camera.take("inform")
    tap("Ik heb het begrepen")
    title("Hoe snel is de kaart nodig?")
    camera.take("procedure")
    tap("Gewone aanvraag")
    expect(page.locator("[data-preview][data-live]")).to_be_visible()
    page.wait_for_timeout(500)
    camera.take("photo")
    tap("Foto nemen")
    title("Is de foto goed?")
    camera.take("photo-kept")
    tap("Foto behouden")
    _fingers(page, demo, camera, tap, title)
    camera.take("signature")
    demo.hands.sign_when_asked()
    tap("Laat tekenen")
    expect(page.locator(".ink img")).to_be_visible()
    page.wait_for_timeout(1200)
    camera.take("signing")
    title("Kijkt u dit even na?")
    expect(page.locator(".review img").first).to_have_js_property("complete", True)
    camera.take("review")
    tap("Ja, dit klopt")
    title("Alles is klaar om te verzegelen")
    camera.take("seal")
    tap("Verzegelen")
    page.wait_for_selector("h1:has-text('Verzegeld en veilig bewaard'), ol.way")
    camera.take("sealed")
    title("De aanvraag is aanvaard")
    camera.take("accepted")
    page.close()


def _fingers(
    page: Page, demo: Demo, camera: Camera, tap: Callable[[str], None], title: Callable[[str], None]
) -> None:
    for hand, words in (("right", "rechterwijsvinger"), ("left", "linkerwijsvinger")):
        title(f"Nu: {words}")
        camera.take(f"finger-{hand}")
        demo.hands.lay_finger(HAND_FINGERS[hand, "index"])
        tap("Vinger lezen")
        expect(page.locator("progress")).to_be_visible()
        page.wait_for_timeout(600)
        camera.take(f"finger-{hand}-busy")
        expect(page.get_by_role("heading", level=1, name=f"Nu: {words}")).to_have_count(0)
        page.wait_for_selector("progress", state="detached")
        demo.hands.lift_finger()
    title("Handtekening")


def fleet(browser: Browser, demo: Demo) -> None:
    """The request form of a citizen, and what the planner sees after the visit."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="nl-BE")
    camera = Camera(page, "fleet")
    page.goto(f"{demo.world.url('fleet')}/aanvraag")
    camera.take("request-form")
    page.goto(f"{demo.world.url('fleet')}/sign-in")
    page.locator("[name=name]").fill(demo.world.planner.name)
    page.locator("[name=password]").fill(demo.world.planner.password)
    page.locator("main button[type=submit]").click()
    page.wait_for_url(f"{demo.world.url('fleet')}/")
    camera.take("dashboard")
    page.close()


def main() -> int:
    SHOTS.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(prefix="tl-") as folder,
        running(Path(folder), Script(ROOT / "build" / "portrait.jpg", spare_ports=True), Progress()) as demo,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        kiosk(browser, demo)
        fleet(browser, demo)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
